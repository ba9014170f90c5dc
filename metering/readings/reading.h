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
  // Counters again: what was added later stands last, on disk too.
  std::optional<std::uint64_t> throttles;
  std::optional<std::uint64_t> pidsRefused;
  std::optional<std::uint64_t> blockReads;
  std::optional<std::uint64_t> blockWrites;

  bool diskFull = false;  // of this moment alone: not kept

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
  visit(reading.throttles);
  visit(reading.pidsRefused);
  visit(reading.blockReads);
  visit(reading.blockWrites);
}

// CPU of a whole host, at one moment.
struct HostCpu {
  std::uint64_t groupsInode = 0;  // tells the group that all tenants' groups are in from the next one
  std::uint64_t groupsNanos = 0;  // since it was made, with what groups spent that are gone
  std::uint64_t totalNanos = 0;   // of all there is on the host, since it booted
};

}  // namespace cloister::metering
