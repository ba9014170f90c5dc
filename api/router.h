// Router: the table of what the API serves: method, path, who may, and what body it takes.
//
// Threads: filled before the server starts, then read only. Failures: Problem 404, and 405 with Allow.
#pragma once

#include <functional>
#include <map>
#include <string>
#include <vector>

#include "api/request.h"

namespace cloister::api {

enum class Access {
  open,      // no token
  any,       // a provider's or a tenant's token
  provider,  // a provider's token
  tenant,    // a tenant's token for itself, or a provider's with ?tenant=NAME
  node,      // a node's token
};
// json: read, bounded and handed over as Request::body, with idempotency and audit around the handler.
// ledger: the same for what changes the ledger and not the store, which waits for neither (writeApart()).
// stream: the handler reads it.
enum class Payload { none, json, ledger, stream };

using Handler = std::function<Answer(Request&)>;

struct Route {
  std::string method;
  std::vector<std::string> pattern;  // "{name}" takes any segment
  Access access = Access::any;
  Payload payload = Payload::none;
  Handler handler;
};

class Router {
 public:
  void add(const std::string& method, const std::string& pattern, Access access, Handler handler);
  void add(const std::string& method, const std::string& pattern, Access access, Payload payload, Handler handler);
  // The route, and its parameters into request.parameters.
  [[nodiscard]] const Route& match(Request& request) const;
  [[nodiscard]] const std::vector<Route>& routes() const { return routes_; }

 private:
  std::vector<Route> routes_;
};

}  // namespace cloister::api
