// Routes: which host name leads to which instances.
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

// Lower-case host -> its ready instances. A host without an instance is known (503), one that is absent is not (404).
using Routes = std::map<std::string, std::vector<Backend>>;

}  // namespace cloister::edge
