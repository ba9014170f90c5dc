// The ways to start one busybox `true` that the launch benchmark compares, each as something that can be run and timed.
//
// Threads: not shared. Failures: run() returns what went wrong, empty when the program ran and was cleaned up.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "tests/bench/bench_host.h"

namespace cloister::bench {

struct Contestant {
  std::string name;
  std::string absent;  // why it cannot take part; empty: it can
  std::function<std::string(unsigned round)> run;
};

// fork + exec, the floor, bubblewrap, runc.
[[nodiscard]] std::vector<Contestant> rivals(const Host& host, const std::string& floorProgram);
// Cloister: launch, wait for the end, remove. `launchMillis` gains the time of each launch call, which returns when the
// app's exec has succeeded.
enum class Link { loopbackOnly, tenantNetwork };
[[nodiscard]] Contestant cloister(Host& host, Link link, std::vector<double>& launchMillis);

}  // namespace cloister::bench
