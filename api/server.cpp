#include "api/server.h"

#include <Poco/Net/HTTPServerParams.h>
#include <Poco/Net/HTTPServerRequestImpl.h>
#include <Poco/Net/HTTPServerResponseImpl.h>
#include <Poco/Net/HTTPServerSession.h>
#include <Poco/Net/NetException.h>
#include <Poco/Net/ServerSocket.h>
#include <Poco/String.h>
#include <spdlog/spdlog.h>

#include <array>
#include <chrono>
#include <istream>

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

constexpr int kReceiveTimeoutSeconds = 30;
constexpr std::string_view kContinue = "HTTP/1.1 100 Continue\r\n\r\n";

// A write whose body has not come: the connection goes back to the room, and the request is looked at again.
struct BodyAwaited {};

std::map<std::string, std::string> securityHeaders(const std::string& id) {
  return {{"X-Request-Id", id},
          {"X-Content-Type-Options", "nosniff"},
          {"Cache-Control", "no-store"},
          {"Referrer-Policy", "no-referrer"},
          {"Content-Security-Policy", "default-src 'none'; frame-ancestors 'none'"}};
}

Connection& connectionOf(HTTPServerRequest& request) {
  return dynamic_cast<Connection&>(*dynamic_cast<HTTPServerRequestImpl&>(request).socket().impl());
}

bool hasBody(const HTTPServerRequest& request) {
  return request.getChunkedTransferEncoding() || (request.hasContentLength() && request.getContentLength64() > 0);
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

Poco::Net::HTTPServerParams::Ptr parameters() {
  Poco::Net::HTTPServerParams::Ptr out = new Poco::Net::HTTPServerParams;
  out->setTimeout(Poco::Timespan(kReceiveTimeoutSeconds, 0));
  out->setKeepAlive(true);
  return out;
}

std::string nameOf(const model::Token& token) {
  switch (token.scope) {
    case model::Scope::tenant:
      return token.tenantId;
    case model::Scope::node:
      return "node " + token.id;
    case model::Scope::provider:
      break;
  }
  return "provider " + token.id;
}

// The others' names have a blank.
bool isTenant(const std::string& caller) {
  return caller.find(' ') == std::string::npos;
}

Problem tooFast(std::chrono::seconds wait) {
  Problem problem(429, "rate_limited",
                  "too many requests in a short time; go on in " + std::to_string(wait.count()) + " s");
  problem.headers["Retry-After"] = std::to_string(wait.count());
  return problem;
}

}  // namespace

struct Server::Listener {
  Listener(Server& server, const Poco::Net::ServerSocket& listening, const ServerLimits& limits)
      : socket(listening),
        workers(limits.workers),
        room(
            socket.impl()->sockfd(), limits.room,
            [&server](Connection::Ptr connection) { return server.take(std::move(connection)); },
            [&server](const HeadRefusal& refusal) {
              return server.refusal({refusal.status, refusal.code, refusal.detail});
            }) {}
  Poco::Net::ServerSocket socket;
  Poco::Net::HTTPServerParams::Ptr params = parameters();
  Workers workers;
  WaitingRoom room;
};

Server::Server(const Poco::Net::ServerSocket& socket, const Router& router, store::Store& store,
               const ServerLimits& limits, Served served)
    : router_(router),
      store_(store),
      served_(std::move(served)),
      rates_(limits.requestsPerSecond, limits.requestsBurst),
      listener_(std::make_unique<Listener>(*this, socket, limits)) {
  listener_->room.start();
}

Server::~Server() {
  stop();
}

void Server::stop() {
  listener_->room.stop();
  listener_->workers.stop();
}

Server::Counts Server::counts() {
  return {listener_->room.count(), listener_->workers.counts()};
}

void acceptBody(Request& request) {
  if (request.raw.getExpectContinue()) request.rawResponse.sendContinue();
}

void requireWholeBody(Request& request) {
  if (auto fault = connectionOf(request.raw).bodyFault(); !fault.empty()) {
    throw Problem(400, "body_incomplete", std::move(fault));
  }
}

std::string Server::refusal(const Problem& problem) {
  const auto id = newRequestId();
  const auto body = toJson(problem, id);
  std::string text = "HTTP/1.1 " + std::to_string(problem.status) + " " + reasonPhrase(problem.status) + "\r\n";
  auto headers = securityHeaders(id);
  headers.insert(problem.headers.begin(), problem.headers.end());
  headers["Content-Type"] = "application/problem+json";
  headers["Content-Length"] = std::to_string(body.size());
  headers["Connection"] = "close";
  for (const auto& [name, value] : headers) text += name + ": " + value + "\r\n";
  served_(problem.status, 0);
  return text + "\r\n" + body;
}

std::string Server::take(Connection::Ptr connection) {
  const auto& authorization = connection->head().authorization;
  auto caller = known_.find(authorization);
  std::size_t part = 0;
  if (caller.empty()) {
    // Whose tokens are not known yet wait together, and none of them fills the place of the others.
    caller = "source " + connection->source();
    part = std::hash<std::string>{}(authorization);
  } else if (!connection->judged && isTenant(caller)) {
    connection->judged = true;
    if (const auto wait = rates_.take(caller)) return refusal(tooFast(*wait));
  }
  Workers::Job job{[this, connection] { serve(connection); }, [connection]() mutable { connection->hangUp(); },
                   [connection]() mutable { connection->goDirect(); }};
  if (listener_->workers.offer(caller, std::move(job), part)) return {};
  Problem problem(429, "too_many_requests", "too many requests wait to be answered already");
  problem.headers.emplace("Retry-After", "1");
  return refusal(problem);
}

void Server::serve(Connection::Ptr connection) {
  Poco::Net::StreamSocket socket(connection.duplicate());
  auto next = Next::close;
  try {
    Poco::Net::HTTPServerSession session(socket, listener_->params);
    connection->beginRequest();
    {
      Poco::Net::HTTPServerResponseImpl response(session);
      Poco::Net::HTTPServerRequestImpl request(response, session, listener_->params.get());
      response.setDate(Poco::Timestamp());
      response.setVersion(request.getVersion());
      response.setKeepAlive(request.getKeepAlive());
      next = handle(request, response, *connection);
      Workers::beforeLeaving();
    }  // the end of the answer's stream sends what it holds: an answer without a body is all there
    // A WebSocket has taken the connection, and may outlive this request.
    if (session.socket().impl() != connection.get()) return;
    // Its end would close the connection.
    (void)session.detachSocket();
  } catch (const std::exception& error) {
    spdlog::info("a request failed outside of its handler: {}", error.what());
    return;
  }
  if (connection->flush()) listener_->room.giveBack(connection, next);
}

Next Server::handle(HTTPServerRequest& raw, HTTPServerResponse& response, Connection& connection) {
  const auto start = Clock::now();
  Request request(raw, response);
  for (const auto& [name, value] : securityHeaders(request.id)) response.set(name, value);
  response.setStatus(Poco::Net::HTTPResponse::HTTP_OK);
  Answer answer;
  auto next = Next::linger;
  try {
    respond(request, answer, connection);
    if (!answer.sent && connection.endRequest() && response.getKeepAlive()) next = Next::head;
  } catch (const BodyAwaited&) {
    if (raw.getExpectContinue()) connection.queue(kContinue);
    return Next::body;
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
  return next;
}

void Server::respond(Request& request, Answer& answer, Connection& connection) {
  try {
    answer = this->answer(request, connection);
  } catch (const std::exception& error) {
    const auto problem = toProblem(error);
    // A node asks every two seconds: while the ledger is away its reason is no news with each request.
    if (problem.status >= 500 && (problem.code != "ledger_unavailable" || news_.isNew(error.what()))) {
      spdlog::error("{} {} {}: {}", request.id, request.method, request.shownPath(), error.what());
    }
    if (request.rawResponse.sent()) throw;
    answer = toAnswer(problem, request.id);
  }
  if (answer.sent) return;
  // A body that is not here would be taken for the next request.
  if (!connection.bodyIsRead()) request.rawResponse.setKeepAlive(false);
  send(request, answer);
}

Answer Server::answer(Request& request, Connection& connection) {
  request.parseTarget();
  const Route& route = router_.match(request);
  authenticate(request, route, connection);
  if (route.access != Access::open && route.access != Access::node) chooseTenant(request, route);
  if (route.payload == Payload::stream) Workers::becomeLong(connection.caller);
  if (route.payload == Payload::none || route.payload == Payload::stream) return route.handler(request);
  readBody(request, connection);
  const auto writes = route.payload == Payload::ledger ? writeApart : write;
  return writes(store_, request, request.body, [&] { return route.handler(request); });
}

void Server::authenticate(Request& request, const Route& route, Connection& connection) {
  if (route.access == Access::open) return;
  const std::string header = request.header("Authorization");
  const bool bearer = header.size() > 7 && Poco::icompare(header.substr(0, 7), std::string("Bearer ")) == 0;
  if (bearer) request.caller = store_.tokens().authenticate(header.substr(7));
  if (!request.caller) {
    failures_.failed(connection.source());
    Problem problem(401, "unauthenticated", header.empty() ? "a bearer token is required" : "the token is not valid",
                    "Authorization");
    problem.headers["WWW-Authenticate"] = "Bearer realm=\"cloister\"";
    throw problem;
  }
  connection.caller = nameOf(*request.caller);
  known_.learn(header, connection.caller);
  limitRate(request, connection);
  const bool isNode = request.caller->scope == model::Scope::node;
  if (isNode != (route.access == Access::node)) {
    throw Problem(403, "forbidden",
                  isNode ? "a node's token works on the node endpoints only" : "a node's token is required");
  }
  if (route.access == Access::provider && request.caller->scope != model::Scope::provider) {
    throw Problem(403, "forbidden", "a provider's token is required");
  }
}

// The provider's own and the nodes' requests are as many as they must be.
void Server::limitRate(const Request& request, Connection& connection) {
  if (connection.judged || request.caller->scope != model::Scope::tenant) return;
  connection.judged = true;
  if (const auto wait = rates_.take(connection.caller)) throw tooFast(*wait);
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

void Server::readBody(Request& request, Connection& connection) {
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
  if (!connection.bodyIsThere(kMaxJsonBody) && !connection.awaited) throw BodyAwaited();
  std::istream& in = request.raw.stream();
  std::array<char, 16'384> buffer{};
  if (connection.bodyIsWhole()) {
    while (in.read(buffer.data(), buffer.size()) || in.gcount() > 0) {
      request.body.append(buffer.data(), static_cast<std::size_t>(in.gcount()));
      if (request.body.size() > kMaxJsonBody) throw tooLarge();
    }
    request.bodyRead = true;
    if (const auto good = utf8::goodBytes(request.body); good != request.body.size()) {
      throw Problem(400, "malformed_json", "the body is not UTF-8 after byte " + std::to_string(good));
    }
    return;
  }
  auto fault = connection.incoming().fault();
  if (!fault.empty()) throw Problem(400, "malformed_request", std::move(fault));
  if (connection.incoming().content() > kMaxJsonBody) throw tooLarge();
  throw Problem(400, "malformed_json", "the body ended before its end was said");
}

}  // namespace cloister::api
