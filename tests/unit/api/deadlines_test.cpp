#include "api/deadlines.h"

#include <Poco/AutoPtr.h>
#include <Poco/Net/ServerSocket.h>
#include <Poco/Net/SocketAddress.h>
#include <gtest/gtest.h>

namespace cloister::api {
namespace {

struct DeadlinesTest : ::testing::Test {
  Poco::Net::ServerSocket listener{Poco::Net::SocketAddress("127.0.0.1", 0)};
  Poco::Net::StreamSocket client{listener.address()};
  Poco::Net::StreamSocket server = listener.acceptConnection();
  Poco::AutoPtr<Deadlines> deadlines{new Deadlines(std::chrono::seconds(1))};

  [[nodiscard]] bool closedWithin(long seconds) {
    return client.poll(Poco::Timespan(seconds, 0), Poco::Net::Socket::SELECT_READ);
  }
};

TEST_F(DeadlinesTest, EndAConnectionThatDripsItsHead) {
  EXPECT_TRUE(deadlines->accept(server));
  client.sendBytes("G", 1);
  EXPECT_TRUE(closedWithin(4));
  char byte = 0;
  EXPECT_EQ(client.receiveBytes(&byte, 1), 0);
}

TEST_F(DeadlinesTest, LeaveAloneWhatCameInTime) {
  EXPECT_TRUE(deadlines->accept(server));
  deadlines->met(server);
  EXPECT_FALSE(closedWithin(3));
}

TEST_F(DeadlinesTest, DoNotKeepAnEndedConnectionOpen) {
  deadlines->expect(server, std::chrono::hours(1));
  server = Poco::Net::StreamSocket();
  EXPECT_TRUE(closedWithin(4));
}

}  // namespace
}  // namespace cloister::api
