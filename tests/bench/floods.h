// What a hostile neighbour does: busybox shell commands that use up one thing as fast as their limits let them.
//
// Threads and failures: constants. Each runs until its container is removed.
#pragma once

#include <vector>

namespace cloister::bench {

struct Flood {
  const char* name;
  const char* command;    // of the neighbour's instance
  const char* companion;  // of a second instance of the same tenant, at the next address; empty: none
};
[[nodiscard]] const std::vector<Flood>& floods();

}  // namespace cloister::bench
