// Accumulator: two readings of one group make amounts. Pure integer arithmetic; nothing is ever counted twice.
//
// Counters: the difference. A counter below its last value began anew (somebody reset it): the
// new value counts whole and a gap of the interval, with the reason, says that something may be missing. A counter that
// was absent in between counts from its last known value. Integrals: the trapezoid of both levels times the boot
// clock's milliseconds, with 128-bit intermediates; the fraction of a millisecond is carried to the next interval, not
// lost. An interval longer than kLongestInterval is not guessed: the integral leaves it out and a gap row says so;
// counters count over it. Life cycle: memory limit x time and instance time, exact, from the moments alone. Identity is
// (boot id, cgroup inode), the caller's to compare: a group that is born counts from zero(). Threads and failures:
// values and pure functions.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <tuple>
#include <vector>

#include "metering/base/usage.h"
#include "metering/readings/reading.h"

namespace cloister::metering {

inline constexpr std::uint64_t kLongestInterval = 30'000'000'000;  // nanoseconds

// What a reading adds for one instance (or for a tenant's network).
struct Amount {
  Meter meter = Meter::cpu;
  std::uint64_t quantity = 0;
  std::string note;
  friend bool operator==(const Amount&, const Amount&) = default;
};
using Amounts = std::vector<Amount>;

// The last reading, and what an interval left over: sub-millisecond remainders go on from here.
struct Progress {
  Reading last;
  std::uint64_t memoryRemainder = 0;  // byte-nanoseconds below one byte-millisecond, doubled by the trapezoid
  std::uint64_t diskRemainder = 0;
  std::uint64_t lifeRemainder = 0;  // nanoseconds below one millisecond
  friend bool operator==(const Progress&, const Progress&) = default;
};

// A group born at `bootNanos`: all counters zero.
[[nodiscard]] Progress bornAt(std::uint64_t bootNanos);

struct Allocation {
  std::uint64_t memoryBytes = 0;
  friend bool operator==(const Allocation&, const Allocation&) = default;
};

// Moves `progress` on to `reading` (whose absent counters keep their last value) and returns what came in between; zero
// amounts are left out.
[[nodiscard]] Amounts advance(Progress& progress, const Reading& reading, const Allocation& allocation);

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
[[nodiscard]] Amounts advanceNetwork(TrafficCounters& last, const TrafficCounters& now, std::uint64_t milliseconds);

// Sums of a window, by what a row is keyed with. Levels by maximum, all others by addition.
struct AmountKey {
  std::string tenantId;
  std::string appId;
  std::string instanceId;
  Meter meter = Meter::cpu;
  std::string note;
  friend auto operator<=>(const AmountKey&, const AmountKey&) = default;
};
using WindowAmounts = std::map<AmountKey, std::uint64_t>;
[[nodiscard]] std::uint64_t combined(Meter meter, std::uint64_t held, std::uint64_t quantity);
void combine(WindowAmounts& window, const AmountKey& key, std::uint64_t quantity);

}  // namespace cloister::metering
