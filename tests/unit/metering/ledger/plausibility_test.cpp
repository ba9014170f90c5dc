#include "metering/ledger/plausibility.h"

#include <gtest/gtest.h>

namespace cloister::metering {
namespace {

constexpr std::int64_t kNow = 1'700'000'000'000'000;
constexpr std::int64_t kOneSecond = 1'000'000;

UsageBatch of(std::vector<UsageRow> rows) {
  return {"one", 1, "boot", std::move(rows)};
}

UsageRow row(Meter meter, std::uint64_t quantity, std::int64_t seconds = 10, const std::string& tenant = "tn-1") {
  return {tenant, "", "", meter, quantity, kNow - seconds * kOneSecond, kNow, ""};
}

std::optional<std::string> judged(const UsageBatch& batch) {
  return implausible(batch, {4, 1ULL << 40U, 10'000'000'000}, [](const std::string& id) { return id == "tn-1"; });
}

TEST(Plausibility, WhatAHostCanDoIsTaken) {
  EXPECT_FALSE(judged(of({})));
  EXPECT_FALSE(judged(of({row(Meter::cpu, 40'000'000'000), row(Meter::groupCpu, 40'000'000'000),
                          row(Meter::networkExternalIn, 100'000'000'000), row(Meter::memoryPeak, 1ULL << 40U),
                          row(Meter::memoryByteSeconds, 1ULL << 53U), row(Meter::gap, UINT64_MAX),
                          row(Meter::hostCpu, 1, 10, hostChain("one"))})));
  // A reading may be shorter than its resolution.
  EXPECT_FALSE(judged(of({row(Meter::cpu, 3'000'000'000, 0)})));
}

TEST(Plausibility, WhatNoHostCanHaveMeasuredIsNot) {
  const UsageBatch cases[] = {
      of({row(Meter::cpu, 41'000'000'000)}),
      of({row(Meter::cpu, 21'000'000'000), row(Meter::cpu, 20'000'000'000)}),  // in sum
      of({row(Meter::groupCpu, UINT64_MAX)}),
      of({row(Meter::networkInternalOut, 100'000'000'001)}),
      of({row(Meter::blockRead, UINT64_MAX)}),
      of({row(Meter::memoryPeak, (1ULL << 40U) + 1)}),
      of({row(Meter::memoryByteSeconds, UINT64_MAX)}),
      of({row(Meter::instanceSeconds, UINT64_MAX)}),
      of({row(Meter::pidsRefused, UINT64_MAX)}),
      of({row(Meter::cpu, 1, 10, "tn-2")}),
      of({row(Meter::hostCpu, 1, 10, hostChain("two"))}),
  };
  for (std::size_t i = 0; i < std::size(cases); ++i) EXPECT_TRUE(judged(cases[i])) << i;
}

TEST(Plausibility, AWindowMayEndALittleAheadOfOurClock) {
  auto batch = of({row(Meter::cpu, 1)});
  batch.rows[0].to = kNow + kClockSkew;
  EXPECT_FALSE(endsInTheFuture(batch, kNow));
  batch.rows[0].to = kNow + kClockSkew + 1;
  EXPECT_TRUE(endsInTheFuture(batch, kNow));
}

}  // namespace
}  // namespace cloister::metering
