// Groups that cannot be read for a while, from the first reading on, or ever.
#include "tests/unit/metering/readings/sampler_fixture.h"

namespace cloister::metering {
namespace {

class UnreadGroupTest : public SamplerTest {
 protected:
  // A group without counters.
  void addUnread(Origin origin = Origin::launched) {
    const auto added = sampler->add(subject(), group.descriptors(), origin, at(0));
    ASSERT_FALSE(added.ok());
    EXPECT_EQ(added.error().path, "in-1-1");
  }
};

TEST_F(UnreadGroupTest, IsTriedAgainAndAllItsCpuCounts) {
  addUnread();
  EXPECT_EQ(sampler->sample(at(2)), 1U);
  EXPECT_FALSE(sampler->look("in-1-1").ok());
  group.unified(700'000, 100);
  EXPECT_EQ(sampler->sample(at(5)), 0U);
  group.unified(900'000, 100);
  EXPECT_EQ(sampler->sample(at(6)), 0U);
  EXPECT_TRUE(sampler->look("in-1-1").ok());
  ASSERT_TRUE(sampler->flush(at(10)).ok());
  EXPECT_EQ(sum(Meter::cpu), 900'000'000U);
  EXPECT_EQ(sum(Meter::instanceSeconds), 6000U);
  EXPECT_EQ(sum(Meter::memoryAllocated), 6'000'000U);
  EXPECT_EQ(sum(Meter::memoryByteSeconds), 100'000U);
  EXPECT_EQ(sum(Meter::gap, gap::kNotRead), 5000U);
}

TEST_F(UnreadGroupTest, ThatNeverWasReadEndsInAGapThatIsCounted) {
  addUnread();
  EXPECT_EQ(sampler->sample(at(3)), 1U);
  EXPECT_EQ(sampler->sample(at(4)), 1U);
  ASSERT_TRUE(sampler->finish("in-1-1", at(6)).ok());
  ASSERT_TRUE(sampler->flush(at(10)).ok());
  EXPECT_EQ(sum(Meter::cpu), 0U);
  EXPECT_EQ(sum(Meter::instanceSeconds), 6000U);
  EXPECT_EQ(sum(Meter::gap, gap::kNotRead), 4000U);
  EXPECT_EQ(sum(Meter::gap, gap::kUnreadable), 2000U);
}

TEST_F(UnreadGroupTest, IsKnownToTheNextProcessToo) {
  addUnread();
  restart();
  group.unified(700'000, 100);
  ASSERT_TRUE(sampler->add(subject(), group.descriptors(), Origin::recovered, at(5)).ok());
  ASSERT_TRUE(sampler->closeMissing(at(5)).ok());
  ASSERT_TRUE(sampler->finish("in-1-1", at(6)).ok());
  ASSERT_TRUE(sampler->flush(at(10)).ok());
  EXPECT_EQ(sum(Meter::cpu), 700'000'000U);
  EXPECT_EQ(sum(Meter::instanceSeconds), 6000U);
}

TEST_F(UnreadGroupTest, WithoutAPastBeginsAtItsFirstCounters) {
  addUnread(Origin::recovered);
  group.unified(700'000, 100);
  EXPECT_EQ(sampler->sample(at(2)), 0U);
  group.unified(900'000, 100);
  EXPECT_EQ(sampler->sample(at(3)), 0U);
  ASSERT_TRUE(sampler->flush(at(10)).ok());
  EXPECT_EQ(sum(Meter::cpu), 200'000'000U);
  EXPECT_EQ(sum(Meter::gap, gap::kUnknownPast), 1U);
}

TEST_F(SamplerTest, AGroupThatIsReadAgainLeavesAGapUntilThen) {
  launch(1'000'000);
  EXPECT_EQ(sampler->sample(at(1)), 0U);
  group.put("cpu.stat", "").put("memory.current", "");
  for (const double second : {2, 3}) EXPECT_EQ(sampler->sample(at(second)), 1U);
  group.unified(3'000'000, 100);
  for (const double second : {4, 5}) EXPECT_EQ(sampler->sample(at(second)), 0U);
  ASSERT_TRUE(sampler->flush(at(10)).ok());
  EXPECT_EQ(sum(Meter::cpu), 3'000'000'000U);
  EXPECT_EQ(sum(Meter::gap, gap::kNotRead), 3000U);
  EXPECT_EQ(sum(Meter::memoryByteSeconds), 50'000U + 100'000U);  // the first second's trapezoid, and the last one
}

}  // namespace
}  // namespace cloister::metering
