#include "api/cli/http.h"

#include <Poco/Exception.h>
#include <Poco/JSON/Parser.h>
#include <Poco/Net/HTTPRequest.h>
#include <Poco/Net/HTTPResponse.h>
#include <Poco/Net/HTTPSClientSession.h>
#include <Poco/Net/NetException.h>
#include <Poco/Net/WebSocket.h>
#include <Poco/StreamCopier.h>
#include <Poco/URI.h>
#include <Poco/UUID.h>
#include <Poco/UUIDGenerator.h>
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <istream>
#include <ostream>
#include <thread>

#include "api/cli/event_stream.h"
#include "api/cli/output.h"
#include "sandbox/base/utf8.h"

namespace cloister::cli {
namespace {

using Poco::Net::HTTPClientSession;
using Poco::Net::HTTPRequest;
using Poco::Net::HTTPResponse;

constexpr long kConnectSeconds = 10;
constexpr long kAnswerSeconds = 90;  // longer than the longest wait that the API grants

// Keeps the body of a refused WebSocket upgrade, which Poco's own WebSocket drops.
template <typename Base>
class Session final : public Base {
 public:
  using Base::Base;
  std::istream& receiveResponse(HTTPResponse& response) override {
    std::istream& body = Base::receiveResponse(response);
    const auto status = static_cast<int>(response.getStatus());
    if (upgrading && status != HTTPResponse::HTTP_SWITCHING_PROTOCOLS) {
      std::string text;
      Poco::StreamCopier::copyToString(body, text);
      throw ApiError(status, response.getReason(), text);
    }
    return body;
  }
  bool upgrading = false;
};

struct Target {
  std::unique_ptr<HTTPClientSession> session;
  std::string path;  // with the query
};

Target open(const Settings& settings, const Request& request, bool upgrading) {
  Poco::URI uri;
  try {
    uri = Poco::URI(settings.server + request.path);
  } catch (const Poco::Exception&) {
    throw TransportError("server: not a URL: " + settings.server);
  }
  for (const auto& [name, value] : request.query) uri.addQueryParameter(name, value);
  Target target;
  target.path = uri.getPathAndQuery();
  if (uri.getScheme() == "http") {
    auto session = std::make_unique<Session<HTTPClientSession>>(uri.getHost(), uri.getPort());
    session->upgrading = upgrading;
    target.session = std::move(session);
  } else if (uri.getScheme() == "https") {
    const Poco::Net::Context::Ptr context(
        new Poco::Net::Context(Poco::Net::Context::TLS_CLIENT_USE, "", Poco::Net::Context::VERIFY_RELAXED, 9, true));
    auto session = std::make_unique<Session<Poco::Net::HTTPSClientSession>>(uri.getHost(), uri.getPort(), context);
    session->upgrading = upgrading;
    target.session = std::move(session);
  } else {
    throw TransportError("server: the URL must begin with http:// or https://: " + settings.server);
  }
  target.session->setTimeout(Poco::Timespan(kConnectSeconds, 0), Poco::Timespan(kAnswerSeconds, 0),
                             Poco::Timespan(kAnswerSeconds, 0));
  return target;
}

void prepare(HTTPRequest& http, const Settings& settings) {
  http.set("User-Agent", "cloister-cli");
  if (!settings.token.empty()) http.set("Authorization", "Bearer " + settings.token);
}

// The last: an earlier attempt of ours is still at work, and its answer will be this one's.
bool transient(const ApiError& error) {
  return error.status() == 429 || (error.status() >= 502 && error.status() <= 504) ||
         error.code() == "idempotency_in_progress";
}

[[noreturn]] void throwTransport(const Settings& settings, const Poco::Exception& error) {
  throw TransportError(fmt::format("no answer from {}: {}", settings.server, error.displayText()));
}

// Writes the body; false when the server stopped reading, which it may do after it has answered.
bool writeFile(std::ostream& out, std::FILE* file, std::uint64_t size,
               const std::function<void(std::uint64_t)>& progress) {
  std::rewind(file);
  std::array<char, 65536> buffer{};
  for (std::uint64_t sent = 0; sent < size;) {
    const std::size_t count = std::fread(buffer.data(), 1, buffer.size(), file);
    if (count == 0) throw std::runtime_error("the packed archive cannot be read");
    out.write(buffer.data(), static_cast<std::streamsize>(count));
    if (!out) return false;
    sent += count;
    if (progress) progress(sent);
  }
  out.flush();
  return static_cast<bool>(out);
}

}  // namespace

ApiError::ApiError(int status, const std::string& reason, const std::string& body)
    : std::runtime_error([&] {
        std::string line;
        try {
          const auto problem = Poco::JSON::Parser().parse(body).extract<Poco::JSON::Object::Ptr>();
          line = text(*problem, "detail");
          if (line.empty()) line = text(*problem, "title");
          const std::string field = text(*problem, "field");
          const std::string code = text(*problem, "code");
          // A detail that speaks of the field needs no second name of it.
          const std::string last = field.substr(field.rfind('.') + 1);
          if (!field.empty() && line.find(last) == std::string::npos) line += fmt::format(" [field {}]", field);
          if (!code.empty()) line += fmt::format(" [{}]", code);
        } catch (const std::exception&) {
          line.clear();
        }
        return printable(line.empty() ? fmt::format("the server answered {} {}", status, reason) : line);
      }()),
      status_(status),
      body_(body) {
  try {
    const auto problem = Poco::JSON::Parser().parse(body).extract<Poco::JSON::Object::Ptr>();
    code_ = text(*problem, "code");
    field_ = text(*problem, "field");
    detail_ = printable(text(*problem, "detail"));
  } catch (const std::exception&) {
    code_.clear();
  }
}

Poco::JSON::Object::Ptr Response::object() const {
  try {
    Poco::JSON::Parser parser;
    return parser.parse(body).extract<Poco::JSON::Object::Ptr>();
  } catch (const Poco::Exception&) {
    throw TransportError(fmt::format("the server answered {} with something that is not a JSON object", status));
  }
}

Connection::Connection() = default;
Connection::Connection(Connection&&) noexcept = default;
Connection& Connection::operator=(Connection&&) noexcept = default;
Connection::~Connection() = default;

Api::Api(Settings settings, Retry retry) : settings_(std::move(settings)), retry_(retry) {}

Response Api::send(const Request& request) const {
  return repeated(request, nullptr, 0, {});
}

Response Api::upload(const Request& request, std::FILE* file, std::uint64_t size,
                     const std::function<void(std::uint64_t)>& progress) const {
  return repeated(request, file, size, progress);
}

Response Api::repeated(const Request& request, std::FILE* file, std::uint64_t size,
                       const std::function<void(std::uint64_t)>& progress) const {
  const std::string key = Poco::UUIDGenerator::defaultGenerator().createRandom().toString();
  auto pause = retry_.firstPause;
  for (int left = retry_.attempts; true; --left) {
    try {
      return attempt(request, key, file, size, progress);
    } catch (const ApiError& error) {
      if (!transient(error) || left <= 1) throw;
    } catch (const TransportError&) {
      if (left <= 1) throw;
    }
    std::this_thread::sleep_for(pause);
    pause *= 2;
  }
}

Response Api::attempt(const Request& request, const std::string& key, std::FILE* file, std::uint64_t size,
                      const std::function<void(std::uint64_t)>& progress) const {
  const Target target = open(settings_, request, false);
  HTTPRequest http(request.method, target.path, HTTPRequest::HTTP_1_1);
  prepare(http, settings_);
  http.set("Accept", "application/json, application/problem+json");
  const bool writes = request.method != "GET";
  if (writes) {
    http.set("Idempotency-Key", key);
    http.setContentLength64(static_cast<Poco::Int64>(file != nullptr ? size : request.body.size()));
    if (file != nullptr || !request.body.empty()) http.setContentType(request.contentType);
  }
  try {
    std::ostream& out = target.session->sendRequest(http);
    if (file != nullptr) {
      // A refusal may arrive before all is sent; then the answer counts, not the broken pipe.
      static_cast<void>(writeFile(out, file, size, progress));
    } else if (!request.body.empty()) {
      out << request.body << std::flush;
    }
    HTTPResponse answer;
    std::istream& in = target.session->receiveResponse(answer);
    Response response;
    response.status = static_cast<int>(answer.getStatus());
    Poco::StreamCopier::copyToString(in, response.body);
    if (const auto* lost = target.session->networkException(); lost != nullptr) throwTransport(settings_, *lost);
    if (answer.hasContentLength() && answer.getContentLength64() != static_cast<Poco::Int64>(response.body.size())) {
      throw TransportError("the connection to " + settings_.server + " broke within the answer");
    }
    // A server of an earlier version may have sent any bytes; no reader of our output is to meet them.
    if (answer.getContentType().find("json") != std::string::npos) response.body = utf8::mended(response.body);
    if (response.status >= 400) throw ApiError(response.status, answer.getReason(), response.body);
    return response;
  } catch (const Poco::Exception& error) {
    throwTransport(settings_, error);
  }
}

StreamEnd Api::stream(const Request& request, const std::string& accept, const std::string& lastEventId,
                      const std::function<Flow(std::istream&)>& read) const {
  const Target target = open(settings_, request, false);
  HTTPRequest http(request.method, target.path, HTTPRequest::HTTP_1_1);
  prepare(http, settings_);
  http.set("Accept", accept);
  if (!lastEventId.empty()) http.set("Last-Event-ID", lastEventId);
  try {
    target.session->sendRequest(http);
    HTTPResponse answer;
    std::istream& in = target.session->receiveResponse(answer);
    const auto status = static_cast<int>(answer.getStatus());
    if (status >= 400) {
      std::string body;
      Poco::StreamCopier::copyToString(in, body);
      throw ApiError(status, answer.getReason(), body);
    }
    if (read(in) == Flow::stop) return StreamEnd::stopped;
    return target.session->networkException() != nullptr ? StreamEnd::lost : StreamEnd::finished;
  } catch (const Poco::Exception& error) {
    throwTransport(settings_, error);
  }
}

StreamEnd Api::events(const Request& request, const std::string& lastEventId,
                      const std::function<Flow(const ServerEvent&)>& handle) const {
  return stream(request, "text/event-stream", lastEventId, [&](std::istream& in) { return readEvents(in, handle); });
}

StreamEnd Api::text(const Request& request, const std::function<Flow(const std::string&)>& handle) const {
  return stream(request, "text/plain", {}, [&](std::istream& in) {
    // Up to a line at a time: a chunk is shown when it comes, not when a buffer is full.
    for (std::string line; std::getline(in, line);) {
      if (!in.eof()) line += '\n';
      if (handle(line) == Flow::stop) return Flow::stop;
    }
    return Flow::next;
  });
}

Connection Api::connect(const Request& request) const {
  auto pause = retry_.firstPause;
  for (int left = retry_.attempts; true; --left) {
    Target target = open(settings_, request, true);
    HTTPRequest http(HTTPRequest::HTTP_GET, target.path, HTTPRequest::HTTP_1_1);
    prepare(http, settings_);
    HTTPResponse answer;
    try {
      Connection connection;
      connection.socket = std::make_unique<Poco::Net::WebSocket>(*target.session, http, answer);
      connection.session = std::move(target.session);
      return connection;
    } catch (const ApiError&) {
      throw;
    } catch (const Poco::Net::ConnectionRefusedException& error) {
      // Nothing has been sent: this alone may be repeated without starting a command twice.
      if (left <= 1) throwTransport(settings_, error);
    } catch (const Poco::Exception& error) {
      throwTransport(settings_, error);
    }
    std::this_thread::sleep_for(pause);
    pause *= 2;
  }
}

std::string segment(const std::string& text) {
  std::string encoded;
  for (const char c : text) {
    const bool unreserved = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' ||
                            c == '_' || c == '.' || c == '~';
    encoded += unreserved ? std::string(1, c) : fmt::format("%{:02X}", static_cast<unsigned char>(c));
  }
  // "." and ".." are steps in a path, also percent-encoded, and an empty segment is none; no resource has such a name.
  if (encoded.empty() || encoded == "." || encoded == "..")
    throw std::invalid_argument("\"" + text + "\" is not a name");
  return encoded;
}

}  // namespace cloister::cli
