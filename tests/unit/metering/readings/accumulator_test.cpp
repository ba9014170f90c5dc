#include "metering/readings/accumulator.h"

#include <gtest/gtest.h>

#include <tuple>

namespace cloister::metering {
namespace {

constexpr std::uint64_t kSecond = 1'000'000'000;
constexpr std::uint64_t kHuge = 1'000'000'000'000'000'000;  // 10^18

// What one interval adds.
struct Added {
  Sums sums;
  Gaps gaps;
  [[nodiscard]] bool empty() const { return sums.empty() && gaps.empty(); }
};

Added advanced(Progress& progress, const Reading& reading, const Allocation& allocation) {
  Added added;
  added.gaps = advance(progress, reading, allocation, added.sums);
  return added;
}

Added networkAdvanced(TrafficCounters& last, const TrafficCounters& now, std::uint64_t milliseconds) {
  Added added;
  added.gaps = advanceNetwork(last, now, milliseconds, added.sums);
  return added;
}

std::uint64_t of(const Added& added, Meter meter) {
  return added.sums.of(meter);
}

std::uint64_t gapOf(const Added& added, const std::string& note) {
  for (const auto& gap : added.gaps) {
    if (gap.note == note) return gap.milliseconds;
  }
  return 0;
}

Reading at(std::uint64_t nanos) {
  Reading reading;
  reading.bootNanos = nanos;
  return reading;
}

TEST(Accumulator, FirstReadingOfABornGroupCountsFromZero) {
  auto progress = bornAt(5 * kSecond);
  auto reading = at(6 * kSecond);
  reading.cpuNanos = 42;
  reading.blockReadBytes = 7;
  reading.oomKills = 1;
  const auto step = advanced(progress, reading, {});
  EXPECT_EQ(of(step, Meter::cpu), 42U);
  EXPECT_EQ(of(step, Meter::blockRead), 7U);
  EXPECT_EQ(of(step, Meter::oomKills), 1U);
  EXPECT_EQ(of(step, Meter::instanceSeconds), 1000U);
  EXPECT_EQ(gapOf(step, gap::kCounterReset), 0U);
}

TEST(Accumulator, HitsOfLimitsAndOperationsAreCounted) {
  auto progress = bornAt(0);
  auto reading = at(kSecond);
  reading.throttles = 3;
  reading.pidsRefused = 4;
  reading.blockReads = 5;
  reading.blockWrites = 6;
  reading.diskFull = true;
  std::ignore = advanced(progress, reading, {});
  reading.bootNanos = 2 * kSecond;
  reading.pidsRefused = 10;
  const auto step = advanced(progress, reading, {});
  EXPECT_EQ(of(step, Meter::cpuThrottles), 0U);
  EXPECT_EQ(of(step, Meter::pidsRefused), 6U);
  EXPECT_EQ(of(step, Meter::blockReads), 0U);
  EXPECT_EQ(of(step, Meter::diskFull), 1U) << "as long as it is full, each reading says so";
  reading.bootNanos = 3 * kSecond;
  reading.diskFull = false;
  EXPECT_EQ(of(advanced(progress, reading, {}), Meter::diskFull), 0U);
}

TEST(Accumulator, TheSameReadingTwiceAddsNothing) {
  auto progress = bornAt(0);
  auto reading = at(kSecond);
  reading.cpuNanos = 42;
  std::ignore = advanced(progress, reading, {100});
  EXPECT_TRUE(advanced(progress, reading, {100}).empty());
}

TEST(Accumulator, HugeCountersKeepEveryUnit) {
  auto progress = bornAt(0);
  auto reading = at(kSecond);
  reading.cpuNanos = kHuge;
  std::ignore = advanced(progress, reading, {});
  reading = at(2 * kSecond);
  reading.cpuNanos = kHuge + 3;
  EXPECT_EQ(of(advanced(progress, reading, {}), Meter::cpu), 3U);
  reading.bootNanos = 3 * kSecond;
  reading.cpuNanos = UINT64_MAX;
  EXPECT_EQ(of(advanced(progress, reading, {}), Meter::cpu), UINT64_MAX - kHuge - 3);
}

TEST(Accumulator, ACounterGoingBackBeginsAnewWithAGap) {
  auto progress = bornAt(0);
  auto reading = at(kSecond);
  reading.cpuNanos = 100;
  std::ignore = advanced(progress, reading, {});
  reading = at(3 * kSecond);
  reading.cpuNanos = 30;
  const auto step = advanced(progress, reading, {});
  EXPECT_EQ(of(step, Meter::cpu), 30U);
  EXPECT_EQ(gapOf(step, gap::kCounterReset), 2000U);
  reading.bootNanos = 4 * kSecond;
  reading.cpuNanos = 31;
  EXPECT_EQ(of(advanced(progress, reading, {}), Meter::cpu), 1U);
}

TEST(Accumulator, AnAbsentCounterIsNotZero) {
  auto progress = bornAt(0);
  auto reading = at(kSecond);
  reading.cpuNanos = 100;
  std::ignore = advanced(progress, reading, {});
  auto step = advanced(progress, at(2 * kSecond), {});
  EXPECT_EQ(of(step, Meter::cpu), 0U);
  EXPECT_EQ(gapOf(step, gap::kCounterReset), 0U);
  reading.bootNanos = 3 * kSecond;
  reading.cpuNanos = 105;
  EXPECT_EQ(of(advanced(progress, reading, {}), Meter::cpu), 5U);
}

TEST(Accumulator, MemoryIsATrapezoid) {
  auto progress = bornAt(0);
  auto reading = at(2 * kSecond);
  reading.memoryBytes = 1000;
  EXPECT_EQ(of(advanced(progress, reading, {}), Meter::memoryByteSeconds), 1'000'000U);
  reading = at(3 * kSecond);
  reading.memoryBytes = 3000;
  EXPECT_EQ(of(advanced(progress, reading, {}), Meter::memoryByteSeconds), 2'000'000U);
}

TEST(Accumulator, IntegralsDoNotOverflowInBetween) {
  auto progress = bornAt(0);
  auto reading = at(0);
  reading.memoryBytes = kHuge / 1000;
  std::ignore = advanced(progress, reading, {});
  reading.bootNanos = 10 * kSecond;  // 2 x 10^15 x 10^10 needs 85 bits
  EXPECT_EQ(of(advanced(progress, reading, {}), Meter::memoryByteSeconds), kHuge / 1000 * 10'000);
}

TEST(Accumulator, ManyShortIntervalsLoseNoFraction) {
  auto split = bornAt(0);
  auto whole = bornAt(0);
  std::uint64_t memory = 0;
  std::uint64_t life = 0;
  std::uint64_t allocated = 0;
  auto reading = at(0);
  reading.memoryBytes = 7;
  std::ignore = advanced(split, reading, {});
  std::ignore = advanced(whole, reading, {});
  constexpr std::uint64_t kStep = 333'333;
  for (std::uint64_t i = 1; i <= 30'000; ++i) {
    reading.bootNanos = i * kStep;
    const auto step = advanced(split, reading, {11});
    memory += of(step, Meter::memoryByteSeconds);
    life += of(step, Meter::instanceSeconds);
    allocated += of(step, Meter::memoryAllocated);
  }
  const auto once = advanced(whole, reading, {11});
  EXPECT_EQ(memory, of(once, Meter::memoryByteSeconds));
  EXPECT_EQ(life, of(once, Meter::instanceSeconds));
  EXPECT_EQ(allocated, of(once, Meter::memoryAllocated));
  EXPECT_EQ(life, 9999U);
}

TEST(Accumulator, ALongIntervalIsAGapForIntegralsOnly) {
  auto progress = bornAt(0);
  auto reading = at(kSecond);
  reading.memoryBytes = 1000;
  reading.cpuNanos = 1;
  std::ignore = advanced(progress, reading, {});
  reading.bootNanos = 61 * kSecond;
  reading.cpuNanos = 500;
  const auto step = advanced(progress, reading, {10});
  EXPECT_EQ(of(step, Meter::memoryByteSeconds), 0U);
  EXPECT_EQ(gapOf(step, gap::kNotRead), 60'000U);
  EXPECT_EQ(of(step, Meter::cpu), 499U);
  EXPECT_EQ(of(step, Meter::instanceSeconds), 60'000U);
  EXPECT_EQ(of(step, Meter::memoryAllocated), 600'000U);
}

TEST(Accumulator, ALevelThatIsAwayIsAGapFromItsLastValueToItsNext) {
  auto progress = bornAt(0);
  auto reading = at(kSecond);
  reading.memoryBytes = 1000;
  std::ignore = advanced(progress, reading, {});
  EXPECT_EQ(gapOf(advanced(progress, at(3 * kSecond), {}), gap::kNotRead), 2000U);
  EXPECT_EQ(gapOf(advanced(progress, at(6 * kSecond), {}), gap::kNotRead), 3000U);
  reading.bootNanos = 10 * kSecond;
  const auto back = advanced(progress, reading, {});
  EXPECT_EQ(gapOf(back, gap::kNotRead), 4000U);
  EXPECT_EQ(of(back, Meter::memoryByteSeconds), 0U);
  reading.bootNanos = 11 * kSecond;
  const auto next = advanced(progress, reading, {});
  EXPECT_TRUE(next.gaps.empty());
  EXPECT_EQ(of(next, Meter::memoryByteSeconds), 1'000'000U);
}

TEST(Accumulator, ALevelThatNeverWasIsNoGapUntilItComes) {
  auto progress = bornAt(0);
  EXPECT_TRUE(advanced(progress, at(kSecond), {}).gaps.empty());
  EXPECT_TRUE(advanced(progress, at(2 * kSecond), {}).gaps.empty());
  auto reading = at(3 * kSecond);
  reading.diskBytes = 0;
  EXPECT_EQ(gapOf(advanced(progress, reading, {}), gap::kNotRead), 1000U) << "it was there before, unread";
}

TEST(Accumulator, AClockThatDoesNotAdvanceMakesNoTime) {
  auto progress = bornAt(5 * kSecond);
  auto reading = at(4 * kSecond);
  reading.memoryBytes = 1000;
  const auto step = advanced(progress, reading, {10});
  EXPECT_EQ(of(step, Meter::memoryByteSeconds), 0U);
  EXPECT_EQ(of(step, Meter::instanceSeconds), 0U);
  EXPECT_EQ(progress.last.bootNanos, 5 * kSecond);
}

TEST(Accumulator, PeakIsTheWindowsNotTheLifes) {
  auto progress = bornAt(0);
  auto reading = at(kSecond);
  reading.memoryBytes = 50;
  reading.memoryPeakBytes = 900;
  EXPECT_EQ(of(advanced(progress, reading, {}), Meter::memoryPeak), 900U);
  reading.bootNanos = 2 * kSecond;
  EXPECT_EQ(of(advanced(progress, reading, {}), Meter::memoryPeak), 50U);
  reading.bootNanos = 3 * kSecond;
  reading.memoryPeakBytes = 901;
  EXPECT_EQ(of(advanced(progress, reading, {}), Meter::memoryPeak), 901U);
}

TEST(Accumulator, NetworkCountersAreWhatTheyAddEach) {
  TrafficCounters last{kHuge, 50, 7, 0, 0};
  const auto amounts = networkAdvanced(last, {kHuge + 30, 50, 17, 5}, 1000);
  EXPECT_EQ(of(amounts, Meter::networkExternalIn), 30U);
  EXPECT_EQ(of(amounts, Meter::networkExternalOut), 0U);
  EXPECT_EQ(of(amounts, Meter::networkInternalIn), 10U);
  EXPECT_EQ(of(amounts, Meter::networkInternalOut), 5U);
  EXPECT_EQ(gapOf(amounts, gap::kCounterReset), 0U);
  EXPECT_TRUE(networkAdvanced(last, {kHuge + 30, 50, 17, 5}, 1000).empty());
}

TEST(Accumulator, NetworkCountersMadeAgainLeaveAGap) {
  TrafficCounters last{kHuge, kHuge, kHuge, 3, 0};
  const auto amounts = networkAdvanced(last, {5, kHuge + 1, 2, 3}, 2000);
  EXPECT_EQ(of(amounts, Meter::networkExternalIn), 5U);
  EXPECT_EQ(of(amounts, Meter::networkExternalOut), 1U);
  EXPECT_EQ(of(amounts, Meter::networkInternalIn), 2U);
  EXPECT_EQ(of(amounts, Meter::networkInternalOut), 0U);
  EXPECT_EQ(gapOf(amounts, gap::kCounterReset), 2000U);
}

TEST(Accumulator, DroppedPacketsBeginAgainWithTheRateAndThatIsNoGap) {
  TrafficCounters last{0, 0, 0, 0, 100};
  EXPECT_EQ(of(networkAdvanced(last, {0, 0, 0, 0, 130}, 1000), Meter::networkDropped), 30U);
  const auto amounts = networkAdvanced(last, {0, 0, 0, 0, 7}, 1000);
  EXPECT_EQ(of(amounts, Meter::networkDropped), 7U);
  EXPECT_EQ(gapOf(amounts, gap::kCounterReset), 0U);
}

TEST(Accumulator, LevelsCombineByMaximumOthersByAddition) {
  EXPECT_EQ(combined(Meter::memoryPeak, 5, 3), 5U);
  EXPECT_EQ(combined(Meter::cpu, 5, 3), 8U);
  EXPECT_EQ(combined(Meter::blockRead, UINT64_MAX, 3), UINT64_MAX);
  Sums sums;
  EXPECT_TRUE(sums.empty());
  for (const std::uint64_t level : {5U, 3U}) sums.raise(Meter::memoryPeak, level);
  for (const std::uint64_t quantity : {5U, 3U}) sums.add(Meter::cpu, quantity);
  for (const std::uint64_t quantity : {UINT64_MAX, std::uint64_t{3}}) sums.add(Meter::blockRead, quantity);
  sums.add(Meter::memoryByteSeconds, Quantity{UINT64_MAX} * 7);
  std::vector<std::pair<Meter, std::uint64_t>> held;
  sums.each([&](Meter meter, std::uint64_t quantity) { held.emplace_back(meter, quantity); });
  EXPECT_EQ(held, (std::vector<std::pair<Meter, std::uint64_t>>{{Meter::cpu, 8},
                                                                {Meter::memoryByteSeconds, UINT64_MAX},
                                                                {Meter::memoryPeak, 5},
                                                                {Meter::blockRead, UINT64_MAX}}));
}

}  // namespace
}  // namespace cloister::metering
