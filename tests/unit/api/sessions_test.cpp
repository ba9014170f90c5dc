#include "api/sessions.h"

#include <Poco/Net/WebSocket.h>
#include <gtest/gtest.h>

namespace cloister::api {
namespace {

model::Session sessionCalled(const std::string& id) {
  model::Session session;
  session.id = id;
  return session;
}

TEST(Sessions, AreSeenByTheirNodeWhileTheyWait) {
  int announced = 0;
  Sessions sessions([&] { ++announced; });
  {
    const auto waiting = sessions.open(sessionCalled("ss-1"), "nd-1");
    EXPECT_EQ(announced, 1);
    ASSERT_EQ(sessions.waiting("nd-1").size(), 1U);
    EXPECT_EQ(sessions.waiting("nd-1")[0].id, "ss-1");
    EXPECT_TRUE(sessions.waiting("nd-2").empty());
  }
  EXPECT_TRUE(sessions.waiting("nd-1").empty());
}

TEST(Sessions, AwaitEndsWithoutANode) {
  Sessions sessions([] {});
  const auto waiting = sessions.open(sessionCalled("ss-1"), "nd-1");
  EXPECT_EQ(waiting->await(std::chrono::steady_clock::now() + std::chrono::milliseconds(20)), nullptr);
  sessions.stop();
  EXPECT_EQ(waiting->await(std::chrono::steady_clock::now() + std::chrono::hours(1)), nullptr);
}

TEST(Sessions, OnlyOneNodeJoinsAndOnlyWhatWaits) {
  Sessions sessions([] {});
  const auto none = [] { return std::unique_ptr<Poco::Net::WebSocket>(); };
  EXPECT_FALSE(sessions.join("ss-1", none));
  const auto waiting = sessions.open(sessionCalled("ss-1"), "nd-1");
  EXPECT_TRUE(sessions.join("ss-1", none));
  EXPECT_FALSE(sessions.join("ss-1", none));
  EXPECT_TRUE(sessions.waiting("nd-1").empty()) << "a claimed session is not announced again";
}

}  // namespace
}  // namespace cloister::api
