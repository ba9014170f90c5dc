// Reading: what the kernel said about one group at one moment, and the moment itself.
//
// A field without a value was not readable (no such controller, no such link): absent is not zero.
// Threads and failures: values.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "sandbox/base/result.h"

namespace cloister::metering {

// Both clocks at once: durations come from the boot clock, labels from the calendar.
struct Moment {
  std::uint64_t bootNanos = 0;
  std::int64_t utcMicros = 0;
};
[[nodiscard]] Moment now();

struct Reading {
  std::uint64_t bootNanos = 0;
  // Counters: they only grow while the group is the same.
  std::optional<std::uint64_t> cpuNanos;
  std::optional<std::uint64_t> throttledNanos;
  std::optional<std::uint64_t> oomKills;
  std::optional<std::uint64_t> blockReadBytes;
  std::optional<std::uint64_t> blockWrittenBytes;
  // Levels.
  std::optional<std::uint64_t> memoryBytes;
  std::optional<std::uint64_t> memoryPeakBytes;
  std::optional<std::uint64_t> pids;
  std::optional<std::uint64_t> pidsPeak;
  std::optional<std::uint64_t> diskBytes;

  friend bool operator==(const Reading&, const Reading&) = default;
};

// Calls `visit` with each optional field in the order above: the order on disk.
template <typename R, typename Visit>
void forEachField(R& reading, Visit&& visit) {
  visit(reading.cpuNanos);
  visit(reading.throttledNanos);
  visit(reading.oomKills);
  visit(reading.blockReadBytes);
  visit(reading.blockWrittenBytes);
  visit(reading.memoryBytes);
  visit(reading.memoryPeakBytes);
  visit(reading.pids);
  visit(reading.pidsPeak);
  visit(reading.diskBytes);
}

}  // namespace cloister::metering
