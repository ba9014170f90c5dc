#include "controlplane/node/server.h"

#include <Poco/JSON/Parser.h>
#include <Poco/Net/Context.h>
#include <Poco/Net/HTTPClientSession.h>
#include <Poco/Net/HTTPRequest.h>
#include <Poco/Net/HTTPResponse.h>
#include <Poco/Net/HTTPSClientSession.h>
#include <Poco/Net/SocketAddress.h>
#include <Poco/Net/StreamSocket.h>
#include <Poco/Net/WebSocket.h>
#include <Poco/String.h>
#include <Poco/URI.h>

#include <array>
#include <filesystem>
#include <fstream>

#include "sandbox/base/files.h"
#include "sandbox/base/utf8.h"

namespace cloister::node {
namespace {

using Poco::Net::HTTPRequest;
using Poco::Net::HTTPResponse;

constexpr std::string_view kUnix = "unix:";
constexpr std::size_t kMaxAnswer = 64UL << 20U;
constexpr std::size_t kChunk = 256UL * 1024;
constexpr int kCallSeconds = 20;
constexpr int kPollSeconds = 40;   // the server answers after 25
constexpr int kBlobSeconds = 120;  // between two pieces

std::string readAll(std::istream& in) {
  std::string text;
  std::array<char, 16384> buffer{};
  while (in.read(buffer.data(), buffer.size()) || in.gcount() > 0) {
    text.append(buffer.data(), static_cast<std::size_t>(in.gcount()));
    if (text.size() > kMaxAnswer) throw std::runtime_error("the server's answer is too large");
  }
  return text;
}

void expect(int status, int wanted, const std::string& path, const std::string& body) {
  if (status == wanted) return;
  throw ServerRefused(path + ": " + std::to_string(status) + " " + utf8::shortened(body, 300), status);
}

}  // namespace

Server::Server(const Config& config) : server_(config.server), name_(config.name), tokenFile_(config.tokenFile) {
  if (!server_.starts_with("https:")) return;
  tls_ = new Poco::Net::Context(Poco::Net::Context::TLS_CLIENT_USE, config.tlsKey, config.tlsCertificate,
                                config.tlsAuthority, Poco::Net::Context::VERIFY_STRICT, 9, config.tlsAuthority.empty());
  tls_->requireMinimumProtocol(Poco::Net::Context::PROTO_TLSV1_2);
}

Server::~Server() = default;

std::unique_ptr<Poco::Net::HTTPClientSession> Server::connect(int seconds) const {
  const Poco::Timespan wait(seconds, 0);
  std::unique_ptr<Poco::Net::HTTPClientSession> session;
  if (server_.starts_with(kUnix)) {
    Poco::Net::StreamSocket socket;
    socket.connect(Poco::Net::SocketAddress(Poco::Net::SocketAddress::UNIX_LOCAL, server_.substr(kUnix.size())),
                   Poco::Timespan(5, 0));
    socket.setReceiveTimeout(wait);
    socket.setSendTimeout(wait);
    session = std::make_unique<Poco::Net::HTTPClientSession>(socket);
  } else {
    const Poco::URI uri(server_);
    if (tls_) {
      session = std::make_unique<Poco::Net::HTTPSClientSession>(uri.getHost(), uri.getPort(), tls_);
    } else {
      session = std::make_unique<Poco::Net::HTTPClientSession>(uri.getHost(), uri.getPort());
    }
  }
  session->setTimeout(Poco::Timespan(5, 0), wait, wait);
  return session;
}

void Server::authorise(HTTPRequest& request) const {
  auto token = files::read(tokenFile_, 4096);
  if (!token) throw std::runtime_error(token.error().message());
  request.setCredentials("Bearer", Poco::trim(token.value()));
  if (server_.starts_with(kUnix)) request.setHost("cloisterd");
}

Server::Answer Server::call(const std::string& method, const std::string& path, const std::string& type,
                            std::string_view body, int seconds) const {
  const auto session = connect(seconds);
  HTTPRequest request(method, path, HTTPRequest::HTTP_1_1);
  authorise(request);
  if (method != HTTPRequest::HTTP_GET) {
    request.setContentType(type);
    request.setContentLength64(static_cast<Poco::Int64>(body.size()));
  }
  std::ostream& out = session->sendRequest(request);
  out.write(body.data(), static_cast<std::streamsize>(body.size()));
  out.flush();
  HTTPResponse response;
  std::istream& in = session->receiveResponse(response);
  return {static_cast<int>(response.getStatus()), readAll(in)};
}

std::optional<model::NodeWork> Server::desired(std::int64_t revision) const {
  std::string name;
  Poco::URI::encode(name_, "&=+", name);
  const std::string path = "/node/v1/desired?node=" + name + "&revision=" + std::to_string(revision);
  const Answer answer = call(HTTPRequest::HTTP_GET, path, "", "", kPollSeconds);
  if (answer.status == 204) return std::nullopt;
  expect(answer.status, 200, path, answer.body);
  return model::nodeWorkFromJson(answer.body);
}

void Server::postStatus(const std::string& json) const {
  const Answer answer = call(HTTPRequest::HTTP_POST, "/node/v1/status", "application/json", json, kCallSeconds);
  expect(answer.status, 204, "/node/v1/status", answer.body);
}

std::uint64_t Server::postUsage(const std::string& json) const {
  const Answer answer = call(HTTPRequest::HTTP_POST, "/node/v1/usage", "application/json", json, kCallSeconds);
  expect(answer.status, 200, "/node/v1/usage", answer.body);
  const auto reply = Poco::JSON::Parser().parse(answer.body).extract<Poco::JSON::Object::Ptr>();
  return reply->get("acknowledged").convert<Poco::UInt64>();
}

void Server::postBuildLog(const std::string& build, std::string_view chunk) const {
  const std::string path = "/node/v1/builds/" + build + "/log";
  const Answer answer = call(HTTPRequest::HTTP_POST, path, "text/plain", chunk, kCallSeconds);
  expect(answer.status, 204, path, answer.body);
}

void Server::getBlob(const std::string& digest, const std::function<void(std::string_view)>& sink) const {
  const std::string path = "/node/v1/blobs/" + digest;
  const auto session = connect(kBlobSeconds);
  HTTPRequest request(HTTPRequest::HTTP_GET, path, HTTPRequest::HTTP_1_1);
  authorise(request);
  session->sendRequest(request);
  HTTPResponse response;
  std::istream& in = session->receiveResponse(response);
  if (response.getStatus() != HTTPResponse::HTTP_OK) expect(response.getStatus(), 200, path, readAll(in));
  std::string buffer(kChunk, '\0');
  while (in.read(buffer.data(), static_cast<std::streamsize>(buffer.size())) || in.gcount() > 0) {
    sink(std::string_view(buffer.data(), static_cast<std::size_t>(in.gcount())));
  }
}

bool Server::hasBlob(const std::string& digest) const {
  return call(HTTPRequest::HTTP_GET, "/node/v1/blobs/" + digest + "/present", "", "", kCallSeconds).status == 204;
}

void Server::putBlob(const std::string& digest, const std::string& path) const {
  const std::string target = "/node/v1/blobs/" + digest;
  std::ifstream file(path, std::ios::binary);
  if (!file) throw std::runtime_error(path + ": cannot be read");
  const auto session = connect(kBlobSeconds);
  HTTPRequest request(HTTPRequest::HTTP_PUT, target, HTTPRequest::HTTP_1_1);
  authorise(request);
  request.setContentType("application/octet-stream");
  request.setContentLength64(static_cast<Poco::Int64>(std::filesystem::file_size(path)));
  std::ostream& out = session->sendRequest(request);
  std::string buffer(kChunk, '\0');
  while (file.read(buffer.data(), static_cast<std::streamsize>(buffer.size())) || file.gcount() > 0) {
    out.write(buffer.data(), file.gcount());
  }
  out.flush();
  HTTPResponse response;
  std::istream& in = session->receiveResponse(response);
  const std::string body = readAll(in);
  if (response.getStatus() != HTTPResponse::HTTP_OK) expect(response.getStatus(), 201, target, body);
}

std::unique_ptr<Poco::Net::WebSocket> Server::joinSession(const std::string& session) const {
  const auto connection = connect(kCallSeconds);
  HTTPRequest request(HTTPRequest::HTTP_GET, "/node/v1/sessions/" + session, HTTPRequest::HTTP_1_1);
  authorise(request);
  HTTPResponse response;
  auto socket = std::make_unique<Poco::Net::WebSocket>(*connection, request, response);
  socket->setMaxPayloadSize(1 << 20);
  return socket;
}

}  // namespace cloister::node
