#include "metering/readings/sampler.h"

#include "metering/base/sql.h"
#include "tests/unit/metering/readings/sampler_fixture.h"

namespace cloister::metering {
namespace {

TEST_F(SamplerTest, WindowsAreAlignedAndCarryWhatCameInBetween) {
  group.unified(0, 500);
  ASSERT_TRUE(sampler->add(subject(), group.descriptors(), Origin::launched, at(3)).ok());
  group.unified(2'000'000, 500);
  EXPECT_EQ(sampler->sample(at(4)), 0U);
  EXPECT_EQ(*sampler->flush(at(4)), 0U);
  group.unified(5'000'000, 500);
  EXPECT_EQ(sampler->sample(at(9)), 0U);
  EXPECT_GT(*sampler->flush(at(10)), 0U);
  for (const auto& one : rows()) {
    EXPECT_EQ(one.tenantId, "tn-1");
    EXPECT_EQ(one.appId, "ap-1");
    EXPECT_EQ(one.instanceId, "in-1");
    if (one.meter == Meter::instanceState) continue;
    EXPECT_EQ(one.from, kStart);
    EXPECT_EQ(one.to, kStart + kWindowMicros);
  }
  EXPECT_EQ(sum(Meter::cpu), 5'000'000'000U);
  EXPECT_EQ(sum(Meter::memoryByteSeconds), 250'000U + 2'500'000U);  // 0 to 500 over 1 s, 500 over 5 s
  EXPECT_EQ(sum(Meter::instanceSeconds), 6000U);
  EXPECT_EQ(sum(Meter::memoryAllocated), 6'000'000U);
  EXPECT_EQ(sum(Meter::memoryPeak), 500U);
  EXPECT_EQ(sum(Meter::gap), 0U);
}

TEST_F(SamplerTest, FinishTakesTheLastReadingAndIsDurable) {
  group.unified(0, 0);
  ASSERT_TRUE(sampler->add(subject(), group.descriptors(), Origin::launched, at(0)).ok());
  group.unified(123'456, 0);
  ASSERT_TRUE(sampler->finish("in-1-1", at(0.5)).ok());
  EXPECT_EQ(sampler->groups(), 0U);
  restart();
  ASSERT_TRUE(sampler->closeMissing(at(1)).ok());
  ASSERT_TRUE(sampler->flush(at(1), Flush::all).ok());
  EXPECT_EQ(sum(Meter::cpu), 123'456'000U);
  EXPECT_EQ(sum(Meter::instanceSeconds), 500U);
  EXPECT_TRUE(sampler->finish("in-1-1", at(2)).ok());
  EXPECT_TRUE(sampler->finish("never-seen", at(2)).ok());
}

TEST_F(SamplerTest, AGroupFoundAgainAfterItsLastReadingIsNotCountedAgain) {
  launch(0);
  group.unified(5'000'000, 100);
  ASSERT_TRUE(sampler->finish("in-1-1", at(2)).ok());
  restart();  // killed before the launcher had removed it
  group.unified(5'000'010, 100);
  ASSERT_TRUE(sampler->add(subject(), group.descriptors(), Origin::recovered, at(30)).ok());
  ASSERT_TRUE(sampler->closeMissing(at(30)).ok());
  ASSERT_TRUE(sampler->finish("in-1-1", at(30)).ok());
  sampler->forget("in-1-1");
  ASSERT_TRUE(sampler->flush(at(40)).ok());
  EXPECT_EQ(sum(Meter::cpu), 5'000'010'000U);
  EXPECT_EQ(sum(Meter::instanceSeconds), 2000U) << "it was over while nobody looked";
  EXPECT_EQ(sum(Meter::memoryAllocated), 2'000'000U);
  EXPECT_EQ(sum(Meter::gap), 0U);
}

TEST_F(SamplerTest, AGroupThatEndedWhileNobodyLookedLivedNoLonger) {
  restart();  // the file is there now
  struct Case {
    double end;  // as it is told
    std::uint64_t lived;
  };
  // Neither before the last reading nor after the present.
  const std::vector<Case> cases{{12.5, 12'500}, {4, 10'000}, {5000, 3'600'000}};
  for (std::size_t i = 0; i < cases.size(); ++i) {
    auto one = subject("in-" + std::to_string(i) + "-1", 20 + i);
    one.instanceId = "in-" + std::to_string(i);
    group.unified(0, 100);
    ASSERT_TRUE(sampler->add(one, group.descriptors(), Origin::launched, at(0)).ok());
    EXPECT_EQ(sampler->sample(at(10)), 0U);
    ASSERT_TRUE(sampler->flush(at(10), Flush::all).ok());
    sampler->ended(one.group, at(cases[i].end).utcMicros, at(3600));
    ASSERT_TRUE(sampler->finish(one.group, at(3600)).ok());
    ASSERT_TRUE(sampler->flush(at(3600), Flush::all).ok());
    std::uint64_t lived = 0;
    for (const auto& row : rows()) {
      if (row.instanceId == one.instanceId && row.meter == Meter::instanceSeconds) lived += row.quantity;
    }
    EXPECT_EQ(lived, cases[i].lived) << cases[i].end;
  }
}

TEST_F(SamplerTest, ACommitForOneGroupHasNothingOfAnother) {
  launch(0);
  ASSERT_TRUE(sampler->flush(at(10)).ok());
  group.unified(3'000'000, 100);
  sampler->network("tn-1", {100, 0, 0, 0}, at(15));
  EXPECT_EQ(sampler->sample(at(15)), 0U);
  FakeGroup other(scratch.file("other"));
  other.unified(20, 100);
  auto two = subject("in-2-1", 12);
  two.instanceId = "in-2";
  ASSERT_TRUE(sampler->add(two, other.descriptors(), Origin::launched, at(16)).ok());
  ASSERT_TRUE(sampler->finish("in-2-1", at(17)).ok());
  restart();  // killed: of the first group the kernel has all, the spool what it had at the window's end
  sampler->network("tn-1", {130, 0, 0, 0}, at(18));
  group.unified(4'000'000, 100);
  ASSERT_TRUE(sampler->add(subject(), group.descriptors(), Origin::recovered, at(18)).ok());
  ASSERT_TRUE(sampler->closeMissing(at(18)).ok());
  EXPECT_EQ(sampler->sample(at(20)), 0U);
  ASSERT_TRUE(sampler->flush(at(20)).ok());
  EXPECT_EQ(sum(Meter::cpu), 4'000'020'000U);
  EXPECT_EQ(sum(Meter::instanceSeconds), 21'000U);
  EXPECT_EQ(sum(Meter::networkExternalIn), 130U);
  EXPECT_EQ(sum(Meter::gap, gap::kVanished), 0U);
}

TEST_F(SamplerTest, AFinishedGroupThatIsRemovedMeanwhileLeavesNoGap) {
  launch(0);
  ASSERT_TRUE(sampler->finish("in-1-1", at(2)).ok());
  restart();  // killed after the launcher had removed it
  ASSERT_TRUE(sampler->closeMissing(at(30)).ok());
  ASSERT_TRUE(sampler->flush(at(40)).ok());
  EXPECT_EQ(sum(Meter::instanceSeconds), 2000U);
  for (const auto& one : rows()) EXPECT_NE(one.meter, Meter::gap) << one.note;
  // The name in another group is another container.
  group.unified(7'000'000, 100);
  ASSERT_TRUE(sampler->add(subject("in-1-1", 12), group.descriptors(), Origin::launched, at(50)).ok());
  ASSERT_TRUE(sampler->finish("in-1-1", at(51)).ok());
  ASSERT_TRUE(sampler->flush(at(60)).ok());
  EXPECT_EQ(sum(Meter::cpu), 7'000'000'000U);
  for (const auto& one : rows()) EXPECT_NE(one.meter, Meter::gap) << one.note;
}

TEST_F(SamplerTest, ARestartContinuesFromTheLastReading) {
  launch(0);
  group.unified(1'000'000, 100);
  EXPECT_EQ(sampler->sample(at(10)), 0U);
  ASSERT_TRUE(sampler->flush(at(10)).ok());
  group.unified(4'000'000, 100);
  EXPECT_EQ(sampler->sample(at(12)), 0U);  // not committed: lost with the process, but not with the kernel
  restart();
  group.unified(6'000'000, 100);
  ASSERT_TRUE(sampler->add(subject(), group.descriptors(), Origin::recovered, at(15)).ok());
  ASSERT_TRUE(sampler->closeMissing(at(15)).ok());
  EXPECT_EQ(sampler->sample(at(20)), 0U);
  ASSERT_TRUE(sampler->flush(at(20)).ok());
  EXPECT_EQ(sum(Meter::cpu), 6'000'000'000U);
  EXPECT_EQ(sum(Meter::instanceSeconds), 20'000U);
  EXPECT_EQ(sum(Meter::memoryByteSeconds), 500'000U + 1'000'000U);
  EXPECT_EQ(sum(Meter::gap), 0U);
}

TEST_F(SamplerTest, AGroupThatVanishedLeavesAGapRow) {
  launch(1'000'000);
  EXPECT_EQ(sampler->sample(at(5)), 0U);
  ASSERT_TRUE(sampler->flush(at(10)).ok());
  restart();
  ASSERT_TRUE(sampler->closeMissing(at(17)).ok());
  ASSERT_TRUE(sampler->flush(at(20)).ok());
  EXPECT_EQ(sum(Meter::gap, gap::kVanished), 12'000U);
  restart();
  ASSERT_TRUE(sampler->closeMissing(at(30)).ok());
  ASSERT_TRUE(sampler->flush(at(40)).ok());
  EXPECT_EQ(sum(Meter::gap, gap::kVanished), 12'000U);
}

TEST_F(SamplerTest, AGroupThatWasMissingAndComesBackIsNotCountedAgain) {
  launch(1'000'000);
  EXPECT_EQ(sampler->sample(at(5)), 0U);
  ASSERT_TRUE(sampler->flush(at(10)).ok());
  restart();
  ASSERT_TRUE(sampler->closeMissing(at(17)).ok());
  EXPECT_EQ(sampler->sample(at(18)), 0U);
  EXPECT_EQ(sampler->groups(), 0U);
  restart();
  group.unified(1'500'000, 100);
  ASSERT_TRUE(sampler->add(subject(), group.descriptors(), Origin::recovered, at(19)).ok());
  ASSERT_TRUE(sampler->closeMissing(at(19)).ok());
  EXPECT_EQ(sampler->sample(at(20)), 0U);
  ASSERT_TRUE(sampler->flush(at(20)).ok());
  EXPECT_EQ(sum(Meter::cpu), 1'500'000'000U);
  EXPECT_EQ(sum(Meter::instanceSeconds), 20'000U);
  EXPECT_EQ(sum(Meter::gap, gap::kVanished), 12'000U);
}

TEST_F(SamplerTest, AfterABootTheSameNameIsAnotherGroup) {
  launch(9'000'000);
  EXPECT_EQ(sampler->sample(at(5)), 0U);
  ASSERT_TRUE(sampler->flush(at(10)).ok());
  EXPECT_EQ(sum(Meter::cpu), 9'000'000'000U);
  restart("boot-b");
  // The same inode number and a counter above the old one: only the boot id tells.
  group.unified(10'000'000, 100);
  ASSERT_TRUE(sampler->add(subject(), group.descriptors(), Origin::launched, at(65)).ok());
  ASSERT_TRUE(sampler->closeMissing(at(65)).ok());
  EXPECT_EQ(sampler->sample(at(70)), 0U);
  ASSERT_TRUE(sampler->flush(at(70)).ok());
  EXPECT_EQ(sum(Meter::cpu), 19'000'000'000U);
  EXPECT_EQ(sum(Meter::gap, gap::kRestarted), 60'000U);
}

TEST_F(SamplerTest, AnotherInodeUnderTheSameNameIsAnotherGroup) {
  launch(9'000'000);
  EXPECT_EQ(sampler->sample(at(5)), 0U);
  group.unified(10'000'000, 100);
  ASSERT_TRUE(sampler->add(subject("in-1-1", 12), group.descriptors(), Origin::launched, at(6)).ok());
  EXPECT_EQ(sampler->sample(at(7)), 0U);
  ASSERT_TRUE(sampler->flush(at(10)).ok());
  EXPECT_EQ(sum(Meter::cpu), 19'000'000'000U);
  EXPECT_EQ(sum(Meter::gap, gap::kVanished), 1000U);
}

TEST_F(SamplerTest, WithoutAPastARecoveredGroupBeginsAtItsPresentCounters) {
  group.unified(9'000'000, 100);
  ASSERT_TRUE(sampler->add(subject(), group.descriptors(), Origin::recovered, at(0)).ok());
  sampler->network("tn-1", {5000, 5000, 0, 0}, at(1));
  group.unified(9'500'000, 100);
  EXPECT_EQ(sampler->sample(at(5)), 0U);
  sampler->network("tn-1", {5007, 5001, 0, 0}, at(6));
  ASSERT_TRUE(sampler->flush(at(10)).ok());
  EXPECT_EQ(sum(Meter::cpu), 500'000'000U);
  EXPECT_EQ(sum(Meter::networkExternalIn), 7U);
  EXPECT_EQ(sum(Meter::networkExternalOut), 1U);
  EXPECT_EQ(sum(Meter::gap, gap::kUnknownPast), 1U);
}

TEST_F(SamplerTest, WhatATenantHadBeforeTheSpoolIsNotCountedAfterARestartEither) {
  group.unified(9'000'000, 100);
  ASSERT_TRUE(sampler->add(subject(), group.descriptors(), Origin::recovered, at(0)).ok());
  sampler->tenantGroup("tn-1", 3, 9'000, at(1));
  EXPECT_EQ(sampler->sample(at(1)), 0U);
  ASSERT_TRUE(sampler->flush(at(1)).ok());
  sampler->network("tn-1", {5000, 5000, 0, 0}, at(5));  // the launcher did not answer before
  ASSERT_TRUE(sampler->finish("in-1-1", at(5)).ok());
  restart();  // before the window's end
  sampler->network("tn-1", {5007, 5001, 0, 0}, at(6));
  sampler->tenantGroup("tn-1", 3, 9'500, at(6));
  ASSERT_TRUE(sampler->flush(at(10)).ok());
  EXPECT_EQ(sum(Meter::networkExternalIn), 7U);
  EXPECT_EQ(sum(Meter::networkExternalOut), 1U);
  EXPECT_EQ(sum(Meter::groupCpu), 500U);
}

TEST_F(SamplerTest, WithAPastARecoveredGroupThatTheSpoolMissedCountsFromItsBirth) {
  restart();  // the file is there now
  group.unified(700'000, 100);
  ASSERT_TRUE(sampler->add(subject(), group.descriptors(), Origin::recovered, at(0)).ok());
  EXPECT_EQ(sampler->sample(at(1)), 0U);
  ASSERT_TRUE(sampler->flush(at(10)).ok());
  EXPECT_EQ(sum(Meter::cpu), 700'000'000U);
  EXPECT_EQ(sum(Meter::instanceSeconds), 1000U);
  EXPECT_EQ(sum(Meter::gap, gap::kUnknownBirth), 1U) << "its time before is nobody's";
}

TEST_F(SamplerTest, ARecoveredGroupThatTheSpoolMissedLivesSinceItsBirth) {
  restart();  // the file is there now
  group.unified(700'000, 100);
  auto one = subject();
  one.bornNanos = at(100).bootNanos;
  ASSERT_TRUE(sampler->add(one, group.descriptors(), Origin::recovered, at(3700)).ok());
  EXPECT_EQ(sampler->sample(at(3701)), 0U);
  ASSERT_TRUE(sampler->flush(at(3710)).ok());
  EXPECT_EQ(sum(Meter::cpu), 700'000'000U);
  EXPECT_EQ(sum(Meter::instanceSeconds), 3'601'000U);
  EXPECT_EQ(sum(Meter::memoryAllocated), 3'601'000'000U);
  EXPECT_EQ(sum(Meter::gap, gap::kNotRead), 3'601'000U) << "of its memory in use, nobody knows";
  EXPECT_EQ(sum(Meter::gap, gap::kUnknownBirth), 0U);
  std::int64_t moment = 0;
  for (const auto& row : rows()) {
    if (row.meter == Meter::instanceState) moment = row.from;
  }
  EXPECT_EQ(moment, at(100).utcMicros);
}

TEST_F(SamplerTest, AnUnreadableGroupStillLivesAndItsEndIsAGap) {
  launch(1'000'000);
  EXPECT_EQ(sampler->sample(at(1)), 0U);
  group.put("cpu.stat", "").put("memory.current", "");
  EXPECT_EQ(sampler->sample(at(2)), 1U);
  ASSERT_TRUE(sampler->finish("in-1-1", at(4)).ok());
  ASSERT_TRUE(sampler->flush(at(10)).ok());
  EXPECT_EQ(sum(Meter::cpu), 1'000'000'000U);
  EXPECT_EQ(sum(Meter::instanceSeconds), 4000U);
  EXPECT_EQ(sum(Meter::gap, gap::kNotRead), 1000U);
  EXPECT_EQ(sum(Meter::gap, gap::kUnreadable), 2000U);
}

TEST_F(SamplerTest, AFailedCommitLosesNothing) {
  launch(1'000'000);
  EXPECT_EQ(sampler->sample(at(5)), 0U);
  auto other = Connection::open(scratch.file("spool.db"), "test");
  ASSERT_TRUE(other.ok());
  ASSERT_TRUE(other->exec("CREATE TRIGGER refuse BEFORE INSERT ON batches BEGIN SELECT RAISE(ABORT, 'no'); END").ok());
  const auto refused = sampler->flush(at(10));
  ASSERT_FALSE(refused.ok());
  EXPECT_EQ(refused.error().operation, "no");
  EXPECT_TRUE(rows().empty());
  ASSERT_TRUE(other->exec("DROP TRIGGER refuse").ok());
  group.unified(3'000'000, 100);
  EXPECT_EQ(sampler->sample(at(15)), 0U);
  ASSERT_TRUE(sampler->flush(at(20)).ok());
  EXPECT_EQ(sum(Meter::cpu), 3'000'000'000U);
  EXPECT_EQ(sum(Meter::instanceSeconds), 15'000U);
}

}  // namespace
}  // namespace cloister::metering
