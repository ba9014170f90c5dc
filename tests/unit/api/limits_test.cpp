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
