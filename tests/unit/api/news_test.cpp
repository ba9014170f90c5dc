#include "api/news.h"

#include <gtest/gtest.h>

namespace cloister::api {
namespace {

TEST(News, IsWhatWasNotSaidAMomentAgo) {
  News news;
  const auto start = News::Clock::now();
  EXPECT_TRUE(news.isNew("away", start));
  EXPECT_FALSE(news.isNew("away", start + std::chrono::minutes(9)));
  EXPECT_TRUE(news.isNew("no room", start + std::chrono::minutes(9)));
  EXPECT_TRUE(news.isNew("away", start + std::chrono::minutes(9)));
  EXPECT_TRUE(news.isNew("away", start + std::chrono::minutes(19)));
}

}  // namespace
}  // namespace cloister::api
