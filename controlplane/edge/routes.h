// Routes: which host name leads to which instances, and whose they are.
//
// Threads and failures: values.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

namespace cloister::edge {

struct Backend {
  std::uint32_t address = 0;  // host order, in 10.128.0.0/9
  std::uint16_t port = 0;
  friend auto operator<=>(const Backend&, const Backend&) = default;
};

// Why an app without an instance has none, as far as a stranger may know.
enum class Absence { noInstance, suspended };

// A host without an instance is known (503), one that is absent is not (404). What is counted for an app or a tenant is
// counted over all host names that lead there, by these ids: letters, digits and `_`.
struct Route {
  std::string app;
  std::string tenant;
  std::vector<Backend> backends;  // ready instances
  Absence absence = Absence::noInstance;
};

// By lower-case host.
using Routes = std::map<std::string, Route>;

}  // namespace cloister::edge
