#include "api/server.h"

#include <Poco/Net/HTTPRequestHandler.h>
#include <Poco/Net/HTTPRequestHandlerFactory.h>
#include <Poco/Net/HTTPServer.h>
#include <Poco/Net/HTTPServerParams.h>
#include <Poco/Net/HTTPServerRequestImpl.h>
#include <Poco/Net/HTTPServerResponse.h>
#include <Poco/Net/NetException.h>
#include <Poco/Net/ServerSocket.h>
#include <Poco/String.h>
#include <Poco/ThreadPool.h>
#include <spdlog/spdlog.h>

#include <array>
#include <chrono>
#include <istream>

#include "api/deadlines.h"
#include "api/problem.h"
#include "api/writes.h"
#include "sandbox/base/quantity.h"
#include "sandbox/base/utf8.h"

namespace cloister::api {
namespace {

using Poco::Net::HTTPMessage;
using Poco::Net::HTTPServerRequest;
using Poco::Net::HTTPServerRequestImpl;
using Poco::Net::HTTPServerResponse;
using Clock = std::chrono::steady_clock;

constexpr std::chrono::seconds kHeadDeadline(20);
constexpr std::chrono::seconds kJsonDeadline(30);
constexpr std::chrono::hours kStreamDeadline(2);
constexpr int kReceiveTimeoutSeconds = 30;
constexpr int kKeepAliveSeconds = 30;
constexpr int kQueued = 256;
constexpr std::size_t kLingerBytes = 64UL << 20U;

Poco::Net::StreamSocket& socketOf(HTTPServerRequest& request) {
  return dynamic_cast<HTTPServerRequestImpl&>(request).socket();
}

void secure(HTTPServerResponse& response, const std::string& id) {
  response.set("X-Request-Id", id);
  response.set("X-Content-Type-Options", "nosniff");
  response.set("Cache-Control", "no-store");
  response.set("Referrer-Policy", "no-referrer");
  response.set("Content-Security-Policy", "default-src 'none'; frame-ancestors 'none'");
}

bool hasBody(const HTTPServerRequest& request) {
  return request.getChunkedTransferEncoding() || (request.hasContentLength() && request.getContentLength64() > 0);
}

// Lets a client that is still sending read the refusal before the connection goes: closing at once would reset it.
void linger(HTTPServerRequest& request) {
  auto& socket = socketOf(request);
  try {
    socket.shutdownSend();
    socket.setReceiveTimeout(Poco::Timespan(2, 0));
    std::array<char, 65'536> sink{};
    const auto until = Clock::now() + std::chrono::seconds(10);
    for (std::size_t read = 0; read < kLingerBytes && Clock::now() < until;) {
      const int bytes = socket.receiveBytes(sink.data(), static_cast<int>(sink.size()));
      if (bytes <= 0) return;
      read += static_cast<std::size_t>(bytes);
    }
  } catch (const Poco::Exception&) {
    // It left; that is what was waited for.
  }
}

void send(Request& request, const Answer& answer) {
  auto& response = request.rawResponse;
  response.setStatusAndReason(static_cast<Poco::Net::HTTPResponse::HTTPStatus>(answer.status),
                              reasonPhrase(answer.status));
  for (const auto& [name, value] : answer.headers) response.set(name, value);
  if (answer.status == 204 || answer.status == 304) {
    response.send();
    return;
  }
  response.setContentType(answer.type);
  response.setContentLength64(static_cast<Poco::Int64>(answer.body.size()));
  std::ostream& out = response.send();
  if (request.method != "HEAD") out << answer.body;
  out.flush();
}

Answer toAnswer(const Problem& problem, const std::string& id) {
  Answer answer;
  answer.status = problem.status;
  answer.type = "application/problem+json";
  answer.body = toJson(problem, id);
  answer.headers = problem.headers;
  return answer;
}

class HandlerOf : public Poco::Net::HTTPRequestHandler {
 public:
  explicit HandlerOf(Server& server) : server_(server) {}
  void handleRequest(HTTPServerRequest& request, HTTPServerResponse& response) override {
    server_.handle(request, response);
  }

 private:
  Server& server_;
};

class Factory : public Poco::Net::HTTPRequestHandlerFactory {
 public:
  explicit Factory(Server& server) : server_(server) {}
  Poco::Net::HTTPRequestHandler* createRequestHandler(const HTTPServerRequest& request) override {
    // Anything but 200 keeps Poco from answering "100 Continue" before the request was judged; acceptBody() does.
    request.response().setStatus(Poco::Net::HTTPResponse::HTTP_CONTINUE);
    return new HandlerOf(server_);
  }

 private:
  Server& server_;
};

Poco::Net::HTTPServerParams::Ptr parameters(int threads) {
  Poco::Net::HTTPServerParams::Ptr out = new Poco::Net::HTTPServerParams;
  out->setMaxThreads(threads);
  out->setMaxQueued(kQueued);
  out->setTimeout(Poco::Timespan(kReceiveTimeoutSeconds, 0));
  out->setKeepAlive(true);
  out->setKeepAliveTimeout(Poco::Timespan(kKeepAliveSeconds, 0));
  out->setMaxKeepAliveRequests(10'000);
  return out;
}

}  // namespace

struct Server::Listener {
  Listener(Server& server, const Poco::Net::ServerSocket& socket, int threads)
      : pool(2, threads, 30), http(new Factory(server), pool, socket, parameters(threads)) {
    deadlines = new Deadlines(kHeadDeadline);
    http.setConnectionFilter(deadlines);
  }
  Poco::ThreadPool pool;
  Poco::AutoPtr<Deadlines> deadlines;
  Poco::Net::HTTPServer http;
};

Server::Server(const Poco::Net::ServerSocket& socket, const Router& router, store::Store& store, int threads,
               Served served)
    : router_(router),
      store_(store),
      served_(std::move(served)),
      listener_(std::make_unique<Listener>(*this, socket, threads)) {
  listener_->http.start();
}

Server::~Server() {
  stop();
}

void Server::stop() {
  listener_->http.stopAll(true);
  listener_->pool.joinAll();
}

void acceptBody(Request& request) {
  if (request.raw.getExpectContinue()) request.rawResponse.sendContinue();
}

void Server::handle(HTTPServerRequest& raw, HTTPServerResponse& response) {
  const auto start = Clock::now();
  Poco::Net::StreamSocket socket = socketOf(raw);
  listener_->deadlines->met(socket);
  Request request(raw, response);
  secure(response, request.id);
  response.setStatus(Poco::Net::HTTPResponse::HTTP_OK);
  Answer answer;
  try {
    try {
      answer = this->answer(request);
    } catch (const std::exception& error) {
      const auto problem = toProblem(error);
      // A node asks every two seconds: while the ledger is away its reason is no news with each request.
      if (problem.status >= 500 && (problem.code != "ledger_unavailable" || news_.isNew(error.what()))) {
        spdlog::error("{} {} {}: {}", request.id, request.method, request.shownPath(), error.what());
      }
      if (response.sent()) throw;
      answer = toAnswer(problem, request.id);
    }
    if (!answer.sent) {
      // A body that nobody read would be taken for the next request.
      const bool unread = hasBody(raw) && !request.bodyRead;
      if (unread) response.setKeepAlive(false);
      send(request, answer);
      if (unread && !raw.getExpectContinue()) linger(raw);
    }
  } catch (const Poco::Exception& error) {
    spdlog::info("{} {} {}: connection lost: {}", request.id, request.method, request.shownPath(), error.displayText());
  } catch (const std::exception& error) {
    spdlog::error("{} {} {}: {}", request.id, request.method, request.shownPath(), error.what());
  } catch (...) {
    spdlog::error("{} {} {}: a failure of unknown type", request.id, request.method, request.shownPath());
  }
  const double seconds = std::chrono::duration<double>(Clock::now() - start).count();
  spdlog::info("{} {} {} {} {:.1f} ms", request.id, request.method, request.shownPath(), answer.status, seconds * 1000);
  if (!answer.sent) served_(answer.status, seconds);
  if (!answer.sent && response.getKeepAlive()) {
    listener_->deadlines->expect(socket, std::chrono::seconds(kKeepAliveSeconds) + kHeadDeadline);
  } else {
    listener_->deadlines->met(socket);
  }
}

Answer Server::answer(Request& request) {
  request.parseTarget();
  const Route& route = router_.match(request);
  authenticate(request, route);
  if (route.access != Access::open && route.access != Access::node) chooseTenant(request, route);
  if (route.payload == Payload::none || route.payload == Payload::stream) {
    if (route.payload == Payload::stream) listener_->deadlines->expect(socketOf(request.raw), kStreamDeadline);
    Answer answer = route.handler(request);
    if (route.payload == Payload::stream) listener_->deadlines->met(socketOf(request.raw));
    return answer;
  }
  readBody(request);
  const auto writes = route.payload == Payload::ledger ? writeApart : write;
  return writes(store_, request, request.body, [&] { return route.handler(request); });
}

void Server::authenticate(Request& request, const Route& route) {
  if (route.access == Access::open) return;
  const std::string header = request.header("Authorization");
  const bool bearer = header.size() > 7 && Poco::icompare(header.substr(0, 7), std::string("Bearer ")) == 0;
  if (bearer) request.caller = store_.tokens().authenticate(header.substr(7));
  if (!request.caller) {
    failures_.failed(request.raw.clientAddress().family() == Poco::Net::AddressFamily::UNIX_LOCAL
                         ? "local"
                         : request.raw.clientAddress().host().toString());
    Problem problem(401, "unauthenticated", header.empty() ? "a bearer token is required" : "the token is not valid",
                    "Authorization");
    problem.headers["WWW-Authenticate"] = "Bearer realm=\"cloister\"";
    throw problem;
  }
  const bool isNode = request.caller->scope == model::Scope::node;
  if (isNode != (route.access == Access::node)) {
    throw Problem(403, "forbidden",
                  isNode ? "a node's token works on the node endpoints only" : "a node's token is required");
  }
  if (route.access == Access::provider && request.caller->scope != model::Scope::provider) {
    throw Problem(403, "forbidden", "a provider's token is required");
  }
}

void Server::chooseTenant(Request& request, const Route& route) {
  const auto name = request.query("tenant");
  if (request.caller->scope == model::Scope::tenant) {
    request.tenant = store_.tenants().find(request.caller->tenantId);
    if (!request.tenant) throw Problem(403, "forbidden", "the token's tenant is gone");
    if (name && *name != request.tenant->name && *name != request.tenant->id) {
      throw Problem(403, "forbidden", "the token acts for another tenant", "tenant");
    }
    return;
  }
  if (name && route.access != Access::provider) {
    request.tenant = store_.tenants().find(*name);
    if (!request.tenant) throw Problem(404, "not_found", "no tenant \"" + *name + "\"", "tenant");
  }
  if (route.access == Access::tenant && !request.tenant) {
    throw Problem(400, "tenant_required", "a provider's token needs ?tenant=NAME here", "tenant");
  }
}

void Server::readBody(Request& request) {
  if (!hasBody(request.raw)) return;
  const auto tooLarge = [] {
    return Problem(413, "too_large", "a JSON body may have " + humanBytes(static_cast<double>(kMaxJsonBody)));
  };
  if (request.raw.hasContentLength() && request.raw.getContentLength64() > static_cast<Poco::Int64>(kMaxJsonBody)) {
    throw tooLarge();
  }
  std::string type = request.raw.getContentType();
  type = Poco::toLower(Poco::trim(type.substr(0, type.find(';'))));
  if (type != "application/json" && type != "application/merge-patch+json") {
    throw Problem(415, "unsupported_media_type", "the body must be application/json", "Content-Type");
  }
  acceptBody(request);
  auto& socket = socketOf(request.raw);
  listener_->deadlines->expect(socket, kJsonDeadline);
  std::istream& in = request.raw.stream();
  std::array<char, 16'384> buffer{};
  while (in.read(buffer.data(), buffer.size()) || in.gcount() > 0) {
    request.body.append(buffer.data(), static_cast<std::size_t>(in.gcount()));
    if (request.body.size() > kMaxJsonBody) throw tooLarge();
  }
  listener_->deadlines->met(socket);
  request.bodyRead = true;
  if (request.raw.hasContentLength() &&
      request.body.size() != static_cast<std::size_t>(request.raw.getContentLength64())) {
    throw Problem(400, "malformed_json", "the body ended before its Content-Length");
  }
  if (const auto good = utf8::goodBytes(request.body); good != request.body.size()) {
    throw Problem(400, "malformed_json", "the body is not UTF-8 after byte " + std::to_string(good));
  }
}

}  // namespace cloister::api
