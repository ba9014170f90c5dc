// Accumulator: two readings of one group make amounts. Pure integer arithmetic; nothing is ever counted twice.
//
// Counters: the difference. A counter below its last value began anew (somebody reset it): the
// new value counts whole and a gap of the interval, with the reason, says that something may be missing. A counter that
// was absent in between counts from its last known value; one that never had a value begins at its first. Integrals:
// the trapezoid of both levels times the boot clock's milliseconds, with 128-bit intermediates; the fraction of a
// millisecond is carried to the next interval, not lost. An interval longer than kLongestInterval, or with an end at
// which a level that was there once is absent, is not guessed: the integral leaves it out and a gap row says so;
// counters count over it. Life cycle: memory limit x time and instance time, exact, from the moments alone. Identity is
// (boot id, cgroup inode), the caller's to compare: a group that is born counts from zero(). Threads and failures:
// values and pure functions.
#pragma once

#include <algorithm>
#include <array>
#include <cstdint>
#include <limits>
#include <string>
#include <vector>

#include "metering/base/quantity.h"
#include "metering/base/usage.h"
#include "metering/readings/reading.h"

namespace cloister::metering {

inline constexpr std::uint64_t kLongestInterval = 30'000'000'000;  // nanoseconds

// Levels by maximum, all others by addition, held at the ceiling of 64 bits.
[[nodiscard]] std::uint64_t combined(Meter meter, std::uint64_t held, std::uint64_t quantity);

// What readings add up to, by meter, without what has a note. No real hardware reaches 2^64 in a window: a forged or
// broken counter is held at that ceiling.
class Sums {
 public:
  void add(Meter meter, Quantity quantity) {
    auto& held = at(meter);
    const auto sum = Quantity{held} + quantity;
    held = sum > kCeiling ? kCeiling : static_cast<std::uint64_t>(sum);
  }
  // Of a meter that is a level.
  void raise(Meter meter, std::uint64_t level) { at(meter) = std::max(at(meter), level); }
  void set(Meter meter, std::uint64_t quantity) { at(meter) = quantity; }
  [[nodiscard]] std::uint64_t of(Meter meter) const { return values_[static_cast<std::size_t>(meter)]; }
  // With each meter that is not zero, and its quantity.
  template <typename Visit>
  void each(Visit&& visit) const {
    for (std::size_t i = 0; i < kMeters; ++i) {
      if (values_[i] != 0) visit(static_cast<Meter>(i), values_[i]);
    }
  }
  [[nodiscard]] bool empty() const {
    return std::all_of(values_.begin(), values_.end(), [](std::uint64_t value) { return value == 0; });
  }
  friend bool operator==(const Sums&, const Sums&) = default;

 private:
  static constexpr std::uint64_t kCeiling = std::numeric_limits<std::uint64_t>::max();
  std::uint64_t& at(Meter meter) { return values_[static_cast<std::size_t>(meter)]; }
  std::array<std::uint64_t, kMeters> values_{};
};

// A stretch of milliseconds in which something is missing, and what.
struct Gap {
  std::uint64_t milliseconds = 0;
  const char* note = "";
};
using Gaps = std::vector<Gap>;

// The last reading, and what an interval left over: sub-millisecond remainders go on from here.
struct Progress {
  Reading last;
  std::uint64_t memoryRemainder = 0;  // byte-nanoseconds below one byte-millisecond, doubled by the trapezoid
  std::uint64_t diskRemainder = 0;
  std::uint64_t lifeRemainder = 0;  // nanoseconds below one millisecond
  // It was there once, and at the last reading it was not.
  bool memoryAway = false;
  bool diskAway = false;
  friend bool operator==(const Progress&, const Progress&) = default;
};

// A group born at `bootNanos`: all counters zero.
[[nodiscard]] Progress bornAt(std::uint64_t bootNanos);

struct Allocation {
  std::uint64_t memoryBytes = 0;
  friend bool operator==(const Allocation&, const Allocation&) = default;
};

// Moves `progress` on to `reading` (whose absent counters keep their last value) and adds what came in between.
[[nodiscard]] Gaps advance(Progress& progress, const Reading& reading, const Allocation& allocation, Sums& sums);

// A tenant's traffic as the launcher counts it: bytes of IP packets since its counters were made, and packets over its
// rate. The latter is a 32-bit counter of the kernel's that begins anew with the rate: that is no gap in what is
// billed.
struct TrafficCounters {
  std::uint64_t externalIn = 0;
  std::uint64_t externalOut = 0;
  std::uint64_t internalIn = 0;
  std::uint64_t internalOut = 0;
  std::uint64_t droppedPackets = 0;
  friend bool operator==(const TrafficCounters&, const TrafficCounters&) = default;
};
// `milliseconds` since the last call: the length of a gap, should a counter go backwards.
[[nodiscard]] Gaps advanceNetwork(TrafficCounters& last, const TrafficCounters& now, std::uint64_t milliseconds,
                                  Sums& sums);

}  // namespace cloister::metering
