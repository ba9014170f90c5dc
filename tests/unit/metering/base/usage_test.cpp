#include "metering/base/usage.h"

#include <gtest/gtest.h>

#include <set>
#include <string>

#include "metering/base/quantity.h"

namespace cloister::metering {
namespace {

TEST(Usage, EveryMeterHasANameOfItsOwnThatReadsBack) {
  std::set<std::string> names;
  for (int i = 0; i <= static_cast<int>(kLastMeter); ++i) {
    const auto meter = static_cast<Meter>(i);
    Meter back = Meter::gap;
    EXPECT_TRUE(names.insert(meterName(meter)).second) << meterName(meter);
    ASSERT_TRUE(meterFromName(meterName(meter), back));
    EXPECT_EQ(back, meter);
    EXPECT_STRNE(meterUnit(meter), "");
  }
  EXPECT_STREQ(meterName(Meter::cpu), "cpu");
  EXPECT_STREQ(meterUnit(Meter::cpu), "ns");
}

TEST(Usage, UnknownNamesAreRefused) {
  Meter meter = Meter::cpu;
  for (const char* name : {"", "CPU", "cpu ", "cpus", "gap\n"}) EXPECT_FALSE(meterFromName(name, meter)) << name;
}

TEST(Usage, OnlyPeaksAreLevels) {
  EXPECT_TRUE(isLevel(Meter::memoryPeak));
  EXPECT_TRUE(isLevel(Meter::pidsPeak));
  EXPECT_FALSE(isLevel(Meter::cpu));
  EXPECT_FALSE(isLevel(Meter::gap));
}

TEST(Usage, WhatSaysSomethingAboutMeteringOrLimitsHasNoPrice) {
  for (const auto meter :
       {Meter::gap, Meter::lifecycle, Meter::groupCpu, Meter::instanceState, Meter::hostCpu, Meter::oomKills,
        Meter::pidsRefused, Meter::diskFull, Meter::networkDropped, Meter::cpuThrottles, Meter::memoryPeak})
    EXPECT_FALSE(isBillable(meter)) << meterName(meter);
  for (const auto meter : {Meter::cpu, Meter::blockReads, Meter::networkExternalOut, Meter::imageStorage}) {
    EXPECT_TRUE(isBillable(meter)) << meterName(meter);
    EXPECT_FALSE(isRecord(meter)) << meterName(meter);
  }
  EXPECT_TRUE(isRecord(Meter::hostCpu));
  EXPECT_FALSE(isRecord(Meter::gap)) << "a tenant sees what is missing without asking";
}

TEST(Usage, AHostsChainIsNoTenants) {
  EXPECT_TRUE(isHostChain(hostChain("node-1")));
  EXPECT_EQ(hostOfChain(hostChain("node-1")), "node-1");
  EXPECT_FALSE(isHostChain("tn-1"));
  EXPECT_FALSE(isHostChain("host"));
}

TEST(Quantity, DecimalBeyondSixtyFourBits) {
  EXPECT_EQ(decimal(0), "0");
  EXPECT_EQ(decimal(UINT64_MAX), "18446744073709551615");
  EXPECT_EQ(decimal(Quantity{UINT64_MAX} * 1000U), "18446744073709551615000");
}

}  // namespace
}  // namespace cloister::metering
