#include "api/limits.h"

#include <gtest/gtest.h>

#include <optional>

#include "api/problem.h"

namespace cloister::api {
namespace {

TEST(FailureLimiter, CountsBySourceAndForgetsAfterAMinute) {
  FailureLimiter limiter(3);
  const auto start = FailureLimiter::Clock::now();
  for (int i = 0; i < 3; ++i) EXPECT_NO_THROW(limiter.failed("a", start));
  EXPECT_THROW(limiter.failed("a", start), Problem);
  EXPECT_NO_THROW(limiter.failed("b", start));
  EXPECT_NO_THROW(limiter.failed("a", start + std::chrono::seconds(61)));
}

TEST(FailureLimiter, KeepsABoundedNumberOfSources) {
  FailureLimiter limiter(1);
  const auto now = FailureLimiter::Clock::now();
  for (int i = 0; i < 20'000; ++i) EXPECT_NO_THROW(limiter.failed("source-" + std::to_string(i), now));
}

TEST(RateLimiter, HasAStockThatFillsUpAgain) {
  RateLimiter limiter(10, 20);
  const auto start = RateLimiter::Clock::now();
  for (int i = 0; i < 20; ++i) EXPECT_FALSE(limiter.take("a", start));
  EXPECT_EQ(limiter.take("a", start), std::chrono::seconds(1));
  EXPECT_FALSE(limiter.take("b", start)) << "another caller has a stock of its own";
  EXPECT_FALSE(limiter.take("a", start + std::chrono::milliseconds(110)));
  EXPECT_TRUE(limiter.take("a", start + std::chrono::milliseconds(110)));
  for (int i = 0; i < 20; ++i) EXPECT_FALSE(limiter.take("a", start + std::chrono::seconds(60)));
  EXPECT_TRUE(limiter.take("a", start + std::chrono::seconds(60)));
}

TEST(KnownCallers, ForgetAfterAWhile) {
  KnownCallers known;
  const auto start = KnownCallers::Clock::now();
  known.learn("Bearer x", "tn-1", start);
  EXPECT_EQ(known.find("Bearer x", start), "tn-1");
  EXPECT_EQ(known.find("Bearer y", start), "");
  EXPECT_EQ(known.find("", start), "");
  EXPECT_EQ(known.find("Bearer x", start + std::chrono::minutes(11)), "");
}

TEST(Slots, AreGivenBack) {
  Slots slots(2);
  const auto first = slots.take("a");
  {
    const auto second = slots.take("a");
    EXPECT_THROW((void)slots.take("a"), Problem);
    const auto other = slots.take("b");
  }
  EXPECT_NO_THROW((void)slots.take("a"));
}

}  // namespace
}  // namespace cloister::api
