// A client that asks one web server again and again, a connection a request, and remembers how long each answer took.
//
// Threads: probe() blocks its caller. Failures: a request without an answer within two seconds counts as failed.
#pragma once

#include <chrono>
#include <vector>

#include "sandbox/base/identity.h"

namespace cloister::bench {

struct Probed {
  std::vector<double> millis;
  unsigned failed = 0;
};
// Whether the server answers within `patience`.
[[nodiscard]] bool awaitServer(Ipv4 address, std::uint16_t port, std::chrono::seconds patience);
// One request after another, a millisecond apart.
[[nodiscard]] Probed probeServer(Ipv4 address, std::uint16_t port, std::chrono::milliseconds duration);

}  // namespace cloister::bench
