// The ways to start one busybox `true` that the launch benchmark compares, each as something that can be run and timed.
//
// Threads: run() may be called by several at once, with rounds that differ. Failures: Sample::failure.
#pragma once

#include <cmath>
#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "tests/bench/bench_host.h"
#include "tests/bench/oci_bundle.h"

namespace cloister::bench {

struct Sample {
  std::string failure;         // empty: the program ran and was cleaned up
  double cpuMillis = NAN;      // of all processes that took part
  double execMillis = NAN;     // from the request to the program's exec, where the contestant can say so
  double removeMillis = NAN;   // from the program's end to the last trace gone, likewise
  std::vector<double> stages;  // milliseconds, by LaunchStage
};

struct Contestant {
  std::string name;
  std::string absent;  // why it cannot take part; empty: it can
  std::function<Sample(unsigned round)> run;
  bool hasExec = false;
};

// rivals.cpp: fork + exec, the bare floor, the floor with all features, bubblewrap, runc, crun.
enum class Link { loopbackOnly, tenantNetwork };
[[nodiscard]] Contestant forkAndExec(const Host& host);
[[nodiscard]] Contestant bareFloor(const Host& host);
[[nodiscard]] Contestant fullFloor(Host& host, const std::string& userNamespace, const std::string& group, Link link);
[[nodiscard]] Contestant bubblewrap(const Host& host);
[[nodiscard]] Contestant ociRuntime(const Host& host, const std::string& program, Bundle bundle);

// cloister_launch.cpp. launch, wait for the end, remove.
[[nodiscard]] Contestant cloisterLaunch(Host& host, Link link);
// exec into a container that runs until `host` ends.
[[nodiscard]] Contestant cloisterExec(Host& host);

}  // namespace cloister::bench
