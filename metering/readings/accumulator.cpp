#include "metering/readings/accumulator.h"

#include <utility>

namespace cloister::metering {
namespace {

constexpr std::uint64_t kNanosPerMilli = 1'000'000;

struct Difference {
  std::uint64_t amount = 0;
  bool anew = false;
};

Difference difference(std::uint64_t before, std::uint64_t after) {
  if (after < before) return {after, true};
  return {after - before, false};
}

// Moves a counter that was read; one that was not keeps its last value for the next time. One without a last value
// begins at what it is: of a group that was born all have one.
Difference move(std::optional<std::uint64_t>& last, const std::optional<std::uint64_t>& read) {
  if (!read) return {};
  const auto moved = difference(last.value_or(*read), *read);
  last = read;
  return moved;
}

// Trapezoid in byte-nanoseconds times two; whole byte-milliseconds come out, the rest stays in `remainder`.
Quantity integrate(std::uint64_t before, std::uint64_t after, std::uint64_t nanos, std::uint64_t& remainder) {
  const Quantity doubled = (Quantity{before} + after) * nanos + remainder;
  constexpr std::uint64_t kUnit = 2U * kNanosPerMilli;
  // Below 8 GiB and a second: a division of 64 bits takes a tenth of the other.
  if (const auto narrow = static_cast<std::uint64_t>(doubled); narrow == doubled) {
    remainder = narrow % kUnit;
    return narrow / kUnit;
  }
  remainder = static_cast<std::uint64_t>(doubled % kUnit);
  return doubled / kUnit;
}

// The kernel's peak is since birth: only a rise of it happened in this interval, else the present level is the best
// known.
std::uint64_t highest(const std::optional<std::uint64_t>& lastPeak, const std::optional<std::uint64_t>& peak,
                      const std::optional<std::uint64_t>& level) {
  if (peak && *peak > lastPeak.value_or(0)) return *peak;
  return level.value_or(0);
}

}  // namespace

Progress bornAt(std::uint64_t bootNanos) {
  Progress progress;
  progress.last.bootNanos = bootNanos;
  forEachField(progress.last, [](std::optional<std::uint64_t>& field) { field = 0; });
  return progress;
}

Gaps advance(Progress& progress, const Reading& reading, const Allocation& allocation, Sums& sums) {
  Reading& last = progress.last;
  const std::uint64_t nanos = reading.bootNanos > last.bootNanos ? reading.bootNanos - last.bootNanos : 0;
  bool anew = false;
  const auto count = [&](Meter meter, std::optional<std::uint64_t>& before, const std::optional<std::uint64_t>& after) {
    const auto moved = move(before, after);
    anew = anew || moved.anew;
    sums.add(meter, moved.amount);
  };
  count(Meter::cpu, last.cpuNanos, reading.cpuNanos);
  count(Meter::cpuThrottled, last.throttledNanos, reading.throttledNanos);
  count(Meter::oomKills, last.oomKills, reading.oomKills);
  count(Meter::blockRead, last.blockReadBytes, reading.blockReadBytes);
  count(Meter::blockWritten, last.blockWrittenBytes, reading.blockWrittenBytes);
  count(Meter::blockReads, last.blockReads, reading.blockReads);
  count(Meter::blockWrites, last.blockWrites, reading.blockWrites);
  count(Meter::cpuThrottles, last.throttles, reading.throttles);
  count(Meter::pidsRefused, last.pidsRefused, reading.pidsRefused);
  sums.add(Meter::diskFull, reading.diskFull ? 1 : 0);

  sums.raise(Meter::memoryPeak, highest(last.memoryPeakBytes, reading.memoryPeakBytes, reading.memoryBytes));
  sums.raise(Meter::pidsPeak, highest(last.pidsPeak, reading.pidsPeak, reading.pids));
  const auto raise = [](std::optional<std::uint64_t>& before, const std::optional<std::uint64_t>& after) {
    if (after) before = std::max(before.value_or(0), *after);
  };
  raise(last.memoryPeakBytes, reading.memoryPeakBytes);
  raise(last.pidsPeak, reading.pidsPeak);
  last.pids = reading.pids;

  bool unread = false;
  const auto level = [&](Meter meter, std::optional<std::uint64_t>& before, const std::optional<std::uint64_t>& after,
                         std::uint64_t& remainder, bool& away) {
    // A level that was never there (no such controller, no upper) starts at zero and is no gap.
    const bool wasThere = away || before.value_or(0) > 0;
    if (before && after && nanos <= kLongestInterval) {
      sums.add(meter, integrate(*before, *after, nanos, remainder));
    } else if (after || wasThere) {
      unread = true;
    }
    away = !after && wasThere;
    before = after;
  };
  level(Meter::memoryByteSeconds, last.memoryBytes, reading.memoryBytes, progress.memoryRemainder, progress.memoryAway);
  level(Meter::diskByteSeconds, last.diskBytes, reading.diskBytes, progress.diskRemainder, progress.diskAway);

  // The remainder is below a millisecond, and so is what each part leaves: no sum of them is near 64 bits.
  const std::uint64_t rest = nanos % kNanosPerMilli + progress.lifeRemainder;
  const std::uint64_t millis = nanos / kNanosPerMilli + rest / kNanosPerMilli;
  progress.lifeRemainder = rest % kNanosPerMilli;
  sums.add(Meter::instanceSeconds, millis);
  sums.add(Meter::memoryAllocated, Quantity{allocation.memoryBytes} * millis);

  // A gap shorter than a millisecond still is a row.
  const std::uint64_t gapMillis = std::max<std::uint64_t>(nanos / kNanosPerMilli, 1);
  Gaps gaps;
  if (anew) gaps.push_back({gapMillis, gap::kCounterReset});
  if (unread) gaps.push_back({gapMillis, gap::kNotRead});
  last.bootNanos = std::max(last.bootNanos, reading.bootNanos);
  return gaps;
}

Gaps advanceNetwork(TrafficCounters& last, const TrafficCounters& now, std::uint64_t milliseconds, Sums& sums) {
  bool anew = false;
  for (const auto& [meter, field] : {std::pair{Meter::networkExternalIn, &TrafficCounters::externalIn},
                                     {Meter::networkExternalOut, &TrafficCounters::externalOut},
                                     {Meter::networkInternalIn, &TrafficCounters::internalIn},
                                     {Meter::networkInternalOut, &TrafficCounters::internalOut}}) {
    const auto moved = difference(last.*field, now.*field);
    anew = anew || moved.anew;
    sums.add(meter, moved.amount);
  }
  sums.add(Meter::networkDropped, difference(last.droppedPackets, now.droppedPackets).amount);
  last = now;
  if (!anew) return {};
  return {{std::max<std::uint64_t>(milliseconds, 1), gap::kCounterReset}};
}

std::uint64_t combined(Meter meter, std::uint64_t held, std::uint64_t quantity) {
  if (isLevel(meter)) return std::max(held, quantity);
  const auto ceiling = std::numeric_limits<std::uint64_t>::max();
  return quantity > ceiling - held ? ceiling : held + quantity;
}

}  // namespace cloister::metering
