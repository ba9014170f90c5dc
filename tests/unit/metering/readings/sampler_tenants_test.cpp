// What the sampler counts of a tenant and of the host beside their groups, and what it does when the clock steps.
#include <set>

#include "metering/readings/clock_step.h"
#include "tests/unit/metering/readings/sampler_fixture.h"

namespace cloister::metering {
namespace {

TEST_F(SamplerTest, StepsOfTheCalendarMoveLabelsNotQuantities) {
  constexpr std::int64_t kHour = 3'600'000'000;
  launch(0);
  std::int64_t step = 0;
  for (int second = 1; second <= 60; ++second) {
    if (second == 15) step = kHour;       // an hour forward
    if (second == 35) step = -2 * kHour;  // three hours back
    group.unified(static_cast<std::uint64_t>(second) * 1'000'000, 100);
    EXPECT_EQ(sampler->sample(at(second, step)), 0U);
    ASSERT_TRUE(sampler->flush(at(second, step)).ok());
  }
  EXPECT_EQ(sum(Meter::cpu), 60'000'000'000U);
  EXPECT_EQ(sum(Meter::instanceSeconds), 60'000U);
  EXPECT_EQ(sum(Meter::memoryByteSeconds), 50'000U + 5'900'000U);
  for (const auto& one : rows()) {
    EXPECT_LT(one.from, one.to);
    if (one.meter == Meter::instanceState) continue;
    EXPECT_EQ(one.from % kWindowMicros, 0);
    EXPECT_EQ(one.to % kWindowMicros, 0);
  }
  EXPECT_EQ(sum(Meter::gap, "clock stepped forward by 1 h"), 1U);
  EXPECT_EQ(sum(Meter::gap, "clock stepped back by 3 h"), 1U);
}

TEST_F(SamplerTest, AStepOfTheCalendarIsEveryTenantsToKnowAlsoWhenTheNodeWasAway) {
  constexpr std::int64_t kHour = 3'600'000'000;
  launch(0);
  auto other = subject("in-2-1", 12);
  other.tenantId = "tn-2";
  ASSERT_TRUE(sampler->add(other, group.descriptors(), Origin::launched, at(0)).ok());
  ASSERT_TRUE(sampler->flush(at(10)).ok());
  restart();
  ASSERT_TRUE(sampler->flush(at(20, -kHour)).ok());
  ASSERT_TRUE(sampler->flush(at(30, -kHour)).ok());
  std::set<std::string> tenants;
  for (const auto& one : rows()) {
    if (one.meter != Meter::gap) continue;
    EXPECT_EQ(one.note, "clock stepped back by 1 h");
    EXPECT_EQ(one.quantity, 1U);
    EXPECT_TRUE(tenants.insert(one.tenantId).second) << "told once";
  }
  EXPECT_EQ(tenants, (std::set<std::string>{"tn-1", "tn-2"}));
  restart("boot-b");  // another boot clock says nothing of the calendar
  ASSERT_TRUE(sampler->add(subject("in-3-1", 13), group.descriptors(), Origin::launched, at(0, kHour)).ok());
  ASSERT_TRUE(sampler->flush(at(50, kHour)).ok());
  EXPECT_EQ(sum(Meter::gap, "clock stepped forward by 1 h"), 0U);
  EXPECT_EQ(sum(Meter::gap, "clock stepped forward by 2 h"), 0U);
}

TEST(ClockStep, ItsNoteIsRoundedSoThatThereAreFew) {
  EXPECT_EQ(clockStepNote(1'000'000), "clock stepped forward by 1 s");
  EXPECT_EQ(clockStepNote(-1'499'999), "clock stepped back by 1 s");
  EXPECT_EQ(clockStepNote(59'499'999), "clock stepped forward by 59 s");
  EXPECT_EQ(clockStepNote(59'500'000), "clock stepped forward by 1 min");
  EXPECT_EQ(clockStepNote(-3'600'000'000), "clock stepped back by 1 h");
  EXPECT_EQ(clockStepNote(86'400'000'000 * 20), "clock stepped forward by 20 d");
  EXPECT_EQ(clockStepNote(INT64_MAX), "clock stepped forward by more than a year");
  EXPECT_EQ(clockStepNote(INT64_MIN), "clock stepped back by more than a year");
}

TEST_F(SamplerTest, NetworkIsTheTenantsAndSurvivesARestart) {
  sampler->network("tn-1", {100, 200, 0, 0}, at(1));
  ASSERT_TRUE(sampler->flush(at(10)).ok());
  sampler->network("tn-1", {150, 200, 0, 0}, at(11));
  restart();
  sampler->network("tn-1", {170, 260, 0, 0}, at(15));
  ASSERT_TRUE(sampler->flush(at(20)).ok());
  EXPECT_EQ(sum(Meter::networkExternalIn), 170U);
  EXPECT_EQ(sum(Meter::networkExternalOut), 260U);
  for (const auto& one : rows()) EXPECT_EQ(one.instanceId, "");
  // After a boot the counters are new ones, whatever they say.
  restart("boot-b");
  sampler->network("tn-1", {171, 1, 0, 0}, at(65));
  ASSERT_TRUE(sampler->flush(at(70)).ok());
  EXPECT_EQ(sum(Meter::networkExternalIn), 341U);
  EXPECT_EQ(sum(Meter::networkExternalOut), 261U);
  sampler->forgetTenant("tn-1");
  sampler->network("tn-1", {5, 5, 0, 0}, at(71));
  ASSERT_TRUE(sampler->flush(at(80)).ok());
  EXPECT_EQ(sum(Meter::networkExternalIn), 346U);
  EXPECT_EQ(sum(Meter::gap, gap::kCounterReset), 0U);
}

TEST_F(SamplerTest, ATenantsOwnGroupCountsOnceOverRestartsAndAnew) {
  sampler->tenantGroup("tn-1", 7, 1'000, at(1));
  sampler->tenantGroup("tn-1", 7, 5'000, at(2));
  ASSERT_TRUE(sampler->flush(at(30), Flush::all).ok());
  restart();
  sampler->tenantGroup("tn-1", 7, 6'000, at(31));
  sampler->tenantGroup("tn-1", 8, 300, at(32));  // the group was removed and made again
  ASSERT_TRUE(sampler->flush(at(60), Flush::all).ok());
  EXPECT_EQ(sum(Meter::groupCpu), 6'300U);
}

TEST_F(SamplerTest, TheHostsChainBeginsWithWhatItsTenantsRowsHave) {
  const auto ofHost = [this](Meter meter) {
    std::uint64_t total = 0;
    for (const auto& one : rows()) {
      if (one.tenantId == hostChain("nd-1") && one.meter == meter) total += one.quantity;
    }
    return total;
  };
  // Groups that are gone spent 900 before anybody looked.
  sampler->tenantGroup("tn-1", 7, 100, at(1));
  sampler->host({3, 1'000, 50'000}, at(1));
  sampler->tenantGroup("tn-1", 7, 150, at(2));
  sampler->host({3, 1'050, 50'300}, at(2));
  ASSERT_TRUE(sampler->flush(at(10), Flush::all).ok());
  EXPECT_EQ(ofHost(Meter::groupCpu), 150U);
  EXPECT_EQ(ofHost(Meter::hostCpu), 300U);
  restart();
  sampler->host({3, 1'060, 50'400}, at(11));
  sampler->host({4, 5, 50'450}, at(12));  // all groups were removed and made again
  ASSERT_TRUE(sampler->flush(at(20), Flush::all).ok());
  EXPECT_EQ(ofHost(Meter::groupCpu), 165U);
  EXPECT_EQ(ofHost(Meter::hostCpu), 450U);
  restart("boot-b");
  sampler->host({3, 2, 9}, at(30));
  ASSERT_TRUE(sampler->flush(at(40), Flush::all).ok());
  EXPECT_EQ(ofHost(Meter::groupCpu), 167U);
  EXPECT_EQ(ofHost(Meter::hostCpu), 459U) << "a boot begins at zero";
}

TEST_F(SamplerTest, ATenantsGroupThatWasNotReadYetWhenTheNodeWasKilledCountsWhole) {
  restart();  // the file is there now
  sampler->network("tn-1", {100, 0, 0, 0}, at(1));
  launch(0);
  restart();
  sampler->tenantGroup("tn-1", 7, 4'000, at(3));
  sampler->network("tn-1", {150, 0, 0, 0}, at(3));
  ASSERT_TRUE(sampler->flush(at(10)).ok());
  EXPECT_EQ(sum(Meter::groupCpu), 4'000U);
  EXPECT_EQ(sum(Meter::networkExternalIn), 150U);
}

TEST_F(SamplerTest, TenantsOfAnEarlierBootGoAndWhatTheyUsedStays) {
  sampler->network("tn-1", {100, 0, 0, 0}, at(1));
  launch(0);
  restart("boot-b");
  ASSERT_TRUE(sampler->closeMissing(at(5)).ok());
  EXPECT_TRUE(spool->load()->networks.all().empty());
  ASSERT_TRUE(sampler->flush(at(10)).ok());
  EXPECT_EQ(sum(Meter::networkExternalIn), 100U);
}

}  // namespace
}  // namespace cloister::metering
