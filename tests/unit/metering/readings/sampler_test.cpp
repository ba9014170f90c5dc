#include "metering/readings/sampler.h"

#include <set>

#include "metering/base/sql.h"
#include "metering/readings/clock_step.h"
#include "tests/unit/metering/readings/fake_groups.h"

namespace cloister::metering {
namespace {

constexpr std::int64_t kStart = 1'700'000'000'000'000;  // a multiple of ten seconds

// Both clocks, `seconds` after the start; `step` moves the calendar only.
Moment at(double seconds, std::int64_t step = 0) {
  const auto micros = static_cast<std::int64_t>(seconds * 1e6);
  return {1'000'000'000'000U + static_cast<std::uint64_t>(micros) * 1000U, kStart + micros + step};
}

Subject subject(const std::string& group = "in-1-1", std::uint64_t inode = 11) {
  return {group, "tn-1", "ap-1", "in-1", inode, {1000}};
}

class SamplerTest : public testing::Test {
 protected:
  void SetUp() override { restart(); }
  // A new process: the spool's file is all that it knows.
  void restart(const std::string& bootId = "boot-a") {
    sampler.reset();
    spool.reset();
    auto opened = Spool::open(scratch.file("spool.db"), "nd-1");
    ASSERT_TRUE(opened.ok()) << opened.error().message();
    spool = std::move(opened).value();
    auto made = Sampler::open(*spool, bootId, hostKey());
    ASSERT_TRUE(made.ok()) << made.error().message();
    sampler = std::move(made).value();
  }
  // subject() with 100 bytes in use, and what it spent since its birth.
  void launch(std::uint64_t cpuMicros) {
    group.unified(cpuMicros, 100);
    ASSERT_TRUE(sampler->add(subject(), group.descriptors(), Origin::launched, at(0)).ok());
  }
  std::vector<UsageRow> rows() {
    std::vector<UsageRow> all;
    const auto batches = spool->pending(1000);
    EXPECT_TRUE(batches.ok());
    for (const auto& batch : *batches) all.insert(all.end(), batch.rows.begin(), batch.rows.end());
    return all;
  }
  std::uint64_t sum(Meter meter, const std::string& note = "") {
    std::uint64_t total = 0;
    for (const auto& one : rows()) {
      if (one.meter == meter && one.note == note) total += one.quantity;
    }
    return total;
  }

  ScratchDirectory scratch;
  FakeGroup group{scratch.file("group")};
  std::unique_ptr<Spool> spool;
  std::unique_ptr<Sampler> sampler;
};

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

TEST_F(SamplerTest, WithAPastARecoveredGroupThatTheSpoolMissedCountsFromItsBirth) {
  restart();  // the file is there now
  group.unified(700'000, 100);
  ASSERT_TRUE(sampler->add(subject(), group.descriptors(), Origin::recovered, at(0)).ok());
  EXPECT_EQ(sampler->sample(at(1)), 0U);
  ASSERT_TRUE(sampler->flush(at(10)).ok());
  EXPECT_EQ(sum(Meter::cpu), 700'000'000U);
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

TEST_F(SamplerTest, AddRefusesAGroupWithoutCounters) {
  const FakeGroup empty(scratch.file("empty"));
  const auto added = sampler->add(subject(), empty.descriptors(), Origin::launched, at(0));
  ASSERT_FALSE(added.ok());
  EXPECT_EQ(added.error().path, "in-1-1");
}

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

// "from note" of each change of state, the former in milliseconds since the start.
class InstanceStates : public SamplerTest {
 protected:
  std::vector<std::string> told() {
    std::vector<std::string> list;
    for (const auto& one : rows()) {
      if (one.meter != Meter::instanceState) continue;
      EXPECT_EQ(one.quantity, 1U);
      EXPECT_EQ(one.to, one.from + 1);
      EXPECT_EQ(one.instanceId, "in-1");
      list.push_back(std::to_string((one.from - kStart) / 1000) + " " + one.note);
    }
    return list;
  }
  using Told = std::vector<std::string>;
};

TEST_F(InstanceStates, BeginAndEndHaveTheirMoments) {
  launch(0);
  ASSERT_TRUE(sampler->finish("in-1-1", at(2.5)).ok());
  sampler->forget("in-1-1");
  ASSERT_TRUE(sampler->flush(at(10)).ok());
  EXPECT_EQ(told(), (Told{"0 instance - -> running/1000", "2500 instance running -> ended"}));
  EXPECT_EQ(sum(Meter::memoryAllocated), 2'500'000U) << "the limit, for as long as they say";
}

TEST_F(InstanceStates, AreToldOnceThoughTheNodeIsKilledInBetween) {
  launch(0);
  restart();
  ASSERT_TRUE(sampler->add(subject(), group.descriptors(), Origin::recovered, at(1)).ok());
  ASSERT_TRUE(sampler->closeMissing(at(1)).ok());
  ASSERT_TRUE(sampler->finish("in-1-1", at(2)).ok());
  restart();  // before the launcher had removed it
  ASSERT_TRUE(sampler->add(subject(), group.descriptors(), Origin::recovered, at(3)).ok());
  ASSERT_TRUE(sampler->closeMissing(at(3)).ok());
  ASSERT_TRUE(sampler->finish("in-1-1", at(4)).ok());
  restart();
  ASSERT_TRUE(sampler->closeMissing(at(5)).ok()) << "it is gone, and that is no loss";
  ASSERT_TRUE(sampler->flush(at(10)).ok());
  EXPECT_EQ(told(), (Told{"0 instance - -> running/1000", "2000 instance running -> ended"}));
  EXPECT_EQ(sum(Meter::gap, gap::kVanished), 0U);
}

TEST_F(InstanceStates, OneThatWasLostMayComeBack) {
  launch(0);
  restart();
  ASSERT_TRUE(sampler->closeMissing(at(3)).ok());
  ASSERT_TRUE(sampler->add(subject(), group.descriptors(), Origin::recovered, at(5)).ok());
  ASSERT_TRUE(sampler->flush(at(10)).ok());
  EXPECT_EQ(told(), (Told{"0 instance - -> running/1000", "5000 instance lost -> running/1000",
                          "3000 instance running -> lost"}));
}

TEST_F(InstanceStates, AnEndThatNobodySawWasWhenItWas) {
  launch(0);
  sampler->ended("in-1-1", kStart + 4'000'000, at(9));
  ASSERT_TRUE(sampler->finish("in-1-1", at(9)).ok());
  ASSERT_TRUE(sampler->flush(at(10)).ok());
  EXPECT_EQ(told().back(), "4000 instance running -> ended");
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

}  // namespace
}  // namespace cloister::metering
