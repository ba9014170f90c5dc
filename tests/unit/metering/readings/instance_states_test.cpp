#include "tests/unit/metering/readings/sampler_fixture.h"

namespace cloister::metering {
namespace {

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

}  // namespace
}  // namespace cloister::metering
