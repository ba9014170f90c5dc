#include "api/router.h"

#include <optional>
#include <sstream>

#include "api/problem.h"

namespace cloister::api {
namespace {

std::optional<std::map<std::string, std::string>> matched(const std::vector<std::string>& pattern,
                                                          const std::vector<std::string>& segments) {
  if (pattern.size() != segments.size()) return std::nullopt;
  std::map<std::string, std::string> parameters;
  for (std::size_t i = 0; i < pattern.size(); ++i) {
    const auto& part = pattern[i];
    if (part.starts_with('{')) {
      parameters[part.substr(1, part.size() - 2)] = segments[i];
    } else if (part != segments[i]) {
      return std::nullopt;
    }
  }
  return parameters;
}

}  // namespace

void Router::add(const std::string& method, const std::string& pattern, Access access, Handler handler) {
  add(method, pattern, access, method == "GET" ? Payload::none : Payload::json, std::move(handler));
}

void Router::add(const std::string& method, const std::string& pattern, Access access, Payload payload,
                 Handler handler) {
  Route route{method, {}, access, payload, std::move(handler)};
  std::istringstream parts(pattern.substr(1));
  for (std::string part; std::getline(parts, part, '/');) route.pattern.push_back(part);
  routes_.push_back(std::move(route));
}

const Route& Router::match(Request& request) const {
  const std::string method = request.method == "HEAD" ? "GET" : request.method;
  std::string allowed;
  for (const auto& route : routes_) {
    auto parameters = matched(route.pattern, request.segments);
    if (!parameters) continue;
    if (route.method == method) {
      request.parameters = std::move(*parameters);
      return route;
    }
    if (allowed.find(route.method) == std::string::npos) allowed += (allowed.empty() ? "" : ", ") + route.method;
  }
  if (allowed.empty()) throw notFound("the resource " + request.shownPath());
  Problem problem(405, "method_not_allowed", request.method + " is not allowed here; " + allowed + " is");
  problem.headers["Allow"] = allowed;
  throw problem;
}

}  // namespace cloister::api
