// Server: the boundary between HTTP and the handlers: routing, authentication, tenancy, bodies, problems, metrics, log.
//
// Whatever a handler throws ends here as a problem+json answer; nothing a request does can end the process.
// Threads: Poco's, one a connection, at most Config::maxThreads; what is beyond waits in a short queue.
// Failures: the constructor throws when the socket cannot be bound.
#pragma once

#include <atomic>
#include <functional>
#include <memory>

#include "api/limits.h"
#include "api/news.h"
#include "api/router.h"
#include "controlplane/store/store.h"

namespace Poco::Net {
class HTTPServerRequest;
class HTTPServerResponse;
class ServerSocket;
}  // namespace Poco::Net

namespace cloister::api {

class Deadlines;

class Server {
 public:
  using Served = std::function<void(int status, double seconds)>;
  // `router` has all routes already; `store` and it outlive the server. Serves `socket` until stop().
  Server(const Poco::Net::ServerSocket& socket, const Router& router, store::Store& store, int threads, Served served);
  ~Server();
  Server(const Server&) = delete;
  Server& operator=(const Server&) = delete;

  void stop();

  // One exchange; for Poco's handlers.
  void handle(Poco::Net::HTTPServerRequest& request, Poco::Net::HTTPServerResponse& response);

 private:
  struct Listener;
  [[nodiscard]] Answer answer(Request& request);
  void authenticate(Request& request, const Route& route);
  void chooseTenant(Request& request, const Route& route);
  void readBody(Request& request);

  const Router& router_;
  store::Store& store_;
  Served served_;
  FailureLimiter failures_;
  News news_;
  std::unique_ptr<Listener> listener_;
};

// Tells a client that waits with "Expect: 100-continue" to send its body. Handlers of Payload::stream call it.
void acceptBody(Request& request);

inline constexpr std::size_t kMaxJsonBody = 1U << 20U;

}  // namespace cloister::api
