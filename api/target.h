// Target: a request's path and query, taken apart into text: UTF-8 without NUL.
//
// Threads: pure. Failures: Problem 400 "malformed_url"; with the parameter's name as its field when its value is at
// fault.
#pragma once

#include <string>
#include <utility>
#include <vector>

namespace cloister::api {

struct Target {
  std::vector<std::string> segments;                       // decoded; "/" has none
  std::vector<std::pair<std::string, std::string>> query;  // decoded, in order
};

// `uri` as it was sent: "/v1/apps/shop?tenant=acme".
[[nodiscard]] Target parseTarget(const std::string& uri);

}  // namespace cloister::api
