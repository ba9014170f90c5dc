// The three questions of bench_metering. Each prints its figures and says whether what must hold held.
//
// Threads: one at a time. Failures: std::runtime_error for what keeps a mode from its answer.
#pragma once

#include <string>

namespace cloister::bench {

enum class Size { quick, whole };

// CPU, job by job, against the kernel's account of processes, over kills of the node and of the launcher.
[[nodiscard]] bool meterAccuracy(const std::string& binaries, Size size);
// Network bytes against what both peers count.
[[nodiscard]] bool meterNetwork(const std::string& binaries, Size size);
// What reading all groups each second costs.
[[nodiscard]] bool meterCost(Size size);

}  // namespace cloister::bench
