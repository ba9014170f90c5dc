// StageClock: when one launch reached each LaunchStage, counted from the clock's making.
//
// The readings lie in a page that the forked child shares until its execve, so both sides mark their own stages; a mark
// is one clock reading and one store, no system call, also under the strictest filter. What the page holds is shown to
// the launcher's caller and decides nothing. Threads: each stage is marked once, by one process.
// Failures: none; without memory for the page a launch goes on unmeasured.
#pragma once

#include <array>
#include <atomic>
#include <chrono>
#include <cstdint>
#include <memory>
#include <vector>

#include "sandbox/base/launcher_protocol.h"

namespace cloister::launcher {

class StageClock {
 public:
  StageClock();

  void mark(LaunchStage stage);
  // Microseconds, by LaunchStage; 0 for one that was not reached.
  [[nodiscard]] std::vector<std::uint32_t> read() const;

 private:
  using Readings = std::array<std::atomic<std::uint32_t>, kLaunchStages>;
  struct Unmap {
    void operator()(Readings* readings) const;
  };
  // The calendar's: the clocks since boot start anew in the child, which enters a time namespace of its own.
  using Clock = std::chrono::system_clock;
  Clock::time_point begin_;
  std::unique_ptr<Readings, Unmap> readings_;
};

}  // namespace cloister::launcher
