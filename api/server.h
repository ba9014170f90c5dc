// Server: the boundary between HTTP and the handlers: routing, authentication, tenancy, bodies, problems, metrics, log.
//
// Connections wait in one thread (waiting_room.h) until a request's head is there, judged strictly (http_head.h); then
// it is a worker's (workers.h), shared out by caller: a tenant, a provider's or a node's token, or else the source.
// Whatever a handler throws ends here as a problem+json answer; nothing a request does can end the process. Threads:
// see there; handlers run in the workers'. Failures: the constructor throws when it cannot wait for connections.
#pragma once

#include <atomic>
#include <functional>
#include <memory>

#include "api/connection.h"
#include "api/limits.h"
#include "api/news.h"
#include "api/problem.h"
#include "api/router.h"
#include "api/waiting_room.h"
#include "api/workers.h"
#include "controlplane/store/store.h"

namespace Poco::Net {
class HTTPServerRequest;
class HTTPServerResponse;
class ServerSocket;
}  // namespace Poco::Net

namespace cloister::api {

struct ServerLimits {
  WorkerLimits workers;
  RoomLimits room;
  double requestsPerSecond = 0;  // of a tenant; 0: no limit
  double requestsBurst = 0;
};

class Server {
 public:
  using Served = std::function<void(int status, double seconds)>;
  // `router` has all routes already; `store` and it outlive the server. Serves `socket` until stop().
  Server(const Poco::Net::ServerSocket& socket, const Router& router, store::Store& store, const ServerLimits& limits,
         Served served);
  ~Server();
  Server(const Server&) = delete;
  Server& operator=(const Server&) = delete;

  void stop();

  struct Counts {
    std::size_t connections = 0;  // that wait
    Workers::Counts workers;
  };
  [[nodiscard]] Counts counts();

 private:
  struct Listener;
  // In the room's thread: to a worker, or the answer to send instead.
  [[nodiscard]] std::string take(Connection::Ptr connection);
  // In a worker's thread: one request, from its head to what becomes of the connection.
  void serve(Connection::Ptr connection);
  [[nodiscard]] Next handle(Poco::Net::HTTPServerRequest& request, Poco::Net::HTTPServerResponse& response,
                            Connection& connection);
  void respond(Request& request, Answer& answer, Connection& connection);
  [[nodiscard]] Answer answer(Request& request, Connection& connection);
  void authenticate(Request& request, const Route& route, Connection& connection);
  void limitRate(const Request& request, Connection& connection);
  void chooseTenant(Request& request, const Route& route);
  void readBody(Request& request, Connection& connection);
  [[nodiscard]] std::string refusal(const Problem& problem);

  const Router& router_;
  store::Store& store_;
  Served served_;
  FailureLimiter failures_;
  RateLimiter rates_;
  KnownCallers known_;
  News news_;
  std::unique_ptr<Listener> listener_;
};

// Tells a client that waits with "Expect: 100-continue" to send its body. Handlers of Payload::stream call it.
void acceptBody(Request& request);
// Throws 400 when the body that a handler has read to its end was cut off or framed wrongly.
void requireWholeBody(Request& request);

inline constexpr std::size_t kMaxJsonBody = 1U << 20U;

}  // namespace cloister::api
