// What clients can do to the server before and beside good requests: crowds of connections, slow senders and readers,
// requests that two readers could understand differently, floods with a good token.
#include <Poco/Exception.h>
#include <Poco/Net/SocketAddress.h>
#include <Poco/Net/StreamSocket.h>
#include <gtest/gtest.h>
#include <sys/resource.h>

#include <algorithm>
#include <chrono>
#include <thread>
#include <vector>

#include "daemon_process.h"
#include "http_client.h"

namespace cloister::testing {
namespace {

using Clock = std::chrono::steady_clock;
using Poco::Net::StreamSocket;

struct ManyDescriptors {
  ManyDescriptors() {
    rlimit limit{};
    (void)getrlimit(RLIMIT_NOFILE, &limit);
    limit.rlim_cur = std::min<rlim_t>(limit.rlim_max, 65'536);
    (void)setrlimit(RLIMIT_NOFILE, &limit);
  }
};

struct Front : ::testing::Test {
  ManyDescriptors first;
  DaemonProcess daemon{"max_threads = 64\nrequests_per_second = 5\nrequests_burst = 150"};
  HttpClient admin{daemon.port(), daemon.adminToken()};
  HttpClient alice = makeTenant(admin, "alice");
  HttpClient bob = makeTenant(admin, "bob");

  [[nodiscard]] StreamSocket connect() const {
    return StreamSocket(Poco::Net::SocketAddress("127.0.0.1", daemon.port()));
  }

  [[nodiscard]] StreamSocket sent(const std::string& bytes) const {
    auto socket = connect();
    socket.sendBytes(bytes.data(), static_cast<int>(bytes.size()));
    return socket;
  }

  [[nodiscard]] std::string head(const std::string& method, const std::string& path, const HttpClient& client) const {
    return method + " " + path + " HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer " + client.token() + "\r\n";
  }

  // The slowest of `count` requests of Alice's, all of which must be answered.
  [[nodiscard]] std::chrono::milliseconds slowest(int count) const {
    Clock::duration most{};
    for (int i = 0; i < count; ++i) {
      const auto start = Clock::now();
      EXPECT_EQ(alice.send("GET", "/v1/whoami").status, 200);
      most = std::max(most, Clock::now() - start);
    }
    return std::chrono::duration_cast<std::chrono::milliseconds>(most);
  }
};

// All that comes until the server closes.
std::string everything(StreamSocket& socket) {
  socket.setReceiveTimeout(Poco::Timespan(15, 0));
  std::string all;
  char buffer[4096];
  try {
    for (int got = 1; got > 0;) {
      got = socket.receiveBytes(buffer, sizeof buffer);
      all.append(buffer, static_cast<std::size_t>(std::max(got, 0)));
    }
  } catch (const Poco::Exception& error) {
    all += "(" + error.displayText() + ")";
  }
  return all;
}

bool closed(StreamSocket& socket) {
  return socket.poll(Poco::Timespan(0), Poco::Net::Socket::SELECT_READ);
}

TEST_F(Front, CrowdsThatSendNothingOrSlowlyHoldNothing) {
  std::vector<StreamSocket> idle;
  std::vector<StreamSocket> slow;
  for (int i = 0; i < 600; ++i) {
    idle.push_back(connect());
    slow.push_back(sent("GET /v1/whoami HT"));
  }
  EXPECT_LT(slowest(100).count(), 1000);
  const HttpClient stranger(daemon.port(), "");
  EXPECT_EQ(stranger.send("GET", "/healthz").status, 200) << "a source with too many connections still has new ones";
  const auto left = std::count_if(idle.begin(), idle.end(), [](auto& socket) { return !closed(socket); }) +
                    std::count_if(slow.begin(), slow.end(), [](auto& socket) { return !closed(socket); });
  EXPECT_LE(left, 256) << "one source keeps no more connections than the setting says";
}

TEST_F(Front, SlowBodiesAndSlowReadersOfOneTenantHoldNothing) {
  std::vector<StreamSocket> crowd;
  for (int i = 0; i < 40; ++i) {
    crowd.push_back(sent(head("POST", "/v1/apps", bob) +
                         "Content-Type: application/json\r\nContent-Length: 900000\r\n\r\n{\"name\": "));
    crowd.push_back(sent(head("POST", "/v1/apps", bob) +
                         "Content-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n5\r\n{\"nam"));
    // Answers that nobody reads.
    std::string many;
    for (int j = 0; j < 20; ++j) many += head("GET", "/openapi.json", bob) + "\r\n";
    crowd.push_back(sent(many));
  }
  EXPECT_LT(slowest(50).count(), 1000);
}

TEST_F(Front, StreamsOfOneTenantLeaveRoomForTheOthers) {
  std::vector<StreamSocket> streams;
  for (int i = 0; i < 70; ++i) streams.push_back(sent(head("GET", "/v1/events?follow=true", bob) + "\r\n"));
  EXPECT_LT(slowest(50).count(), 1000);
  auto own = sent(head("GET", "/v1/events?follow=true", alice) + "\r\n");
  own.setReceiveTimeout(Poco::Timespan(10, 0));
  char start[16];
  ASSERT_GT(own.receiveBytes(start, sizeof start), 12);
  EXPECT_EQ(std::string(start, 12), "HTTP/1.1 200");
}

TEST_F(Front, AFloodWithAGoodTokenIsToldToWait) {
  int limited = 0;
  std::string retry;
  for (int i = 0; i < 400; ++i) {
    auto reply = bob.send("GET", "/v1/whoami");
    if (reply.status != 429) continue;
    ++limited;
    retry = reply.headers["Retry-After"];
    EXPECT_EQ(reply.text("code"), "rate_limited");
    EXPECT_EQ(reply.headers["Content-Type"], "application/problem+json");
  }
  EXPECT_GT(limited, 20);
  EXPECT_EQ(retry, "1");
  EXPECT_EQ(alice.send("GET", "/v1/whoami").status, 200);
  for (int i = 0; i < 300; ++i) ASSERT_EQ(admin.send("GET", "/v1/whoami").status, 200) << "the provider is not slowed";
}

TEST_F(Front, WhatIsFramedInTwoWaysIsRefusedAndTheConnectionClosed) {
  const std::string post = head("POST", "/v1/apps", alice) + "Content-Type: application/json\r\n";
  const std::string smuggled = "GET /v1/whoami HTTP/1.1\r\nHost: x\r\n\r\n";
  const std::string cases[] = {
      post + "Content-Length: 2\r\nContent-Length: 2\r\n\r\n{}" + smuggled,
      post + "Content-Length: +2\r\n\r\n{}" + smuggled,
      post + "Content-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n" + smuggled,
      post + "Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n" + smuggled,
      post + "Transfer-Encoding : chunked\r\n\r\n0\r\n\r\n" + smuggled,
      post + "Transfer-Encoding: chunked\r\n\r\nx\r\n\r\n" + smuggled,
      post + "Transfer-Encoding: chunked\r\n\r\n2\n{}\r\n0\r\n\r\n" + smuggled,
      post + "A: b\r\n c\r\nContent-Length: 2\r\n\r\n{}" + smuggled,
      "GET /v1/whoami HTTP/1.1\nHost: x\n\n",
      "\r\n\r\n",
  };
  for (const auto& bytes : cases) {
    auto socket = sent(bytes);
    const auto answer = everything(socket);
    EXPECT_TRUE(answer.starts_with("HTTP/1.1 400 ")) << bytes << "\n" << answer;
    EXPECT_NE(answer.find("application/problem+json"), std::string::npos) << answer;
    EXPECT_EQ(answer.find("HTTP/1.1 ", 1), std::string::npos) << "a second answer to\n" << bytes << "\n" << answer;
  }
  auto large = sent("GET / HTTP/1.1\r\nHost: x\r\nCookie: " + std::string(40'000, 'c') + "\r\n\r\n");
  EXPECT_TRUE(everything(large).starts_with("HTTP/1.1 431 "));
  auto longUrl = sent("GET /" + std::string(40'000, 'c') + " HTTP/1.1\r\nHost: x\r\n\r\n");
  EXPECT_TRUE(everything(longUrl).starts_with("HTTP/1.1 414 "));
}

TEST_F(Front, RequestsInOneConnectionFollowEachOther) {
  const std::string get = head("GET", "/v1/whoami", alice) + "\r\n";
  const std::string post = head("POST", "/v1/apps", alice) +
                           "Content-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n" +
                           "8\r\n{\"name\":\r\n7\r\n \"one\"}\r\n0\r\n\r\n";
  const std::string last = head("GET", "/v1/apps/one", alice) + "Connection: close\r\n\r\n";
  auto socket = sent(get + post + get + last);
  const auto answers = everything(socket);
  EXPECT_NE(answers.find("HTTP/1.1 201"), std::string::npos) << answers;
  std::size_t count = 0;
  for (auto at = answers.find("HTTP/1.1 2"); at != std::string::npos; at = answers.find("HTTP/1.1 2", at + 1)) ++count;
  EXPECT_EQ(count, 4U) << answers;
}

TEST_F(Front, ABodyIsAskedForOnlyWhenItsHeadIsGood) {
  auto good = sent(head("POST", "/v1/apps", alice) +
                   "Content-Type: application/json\r\nContent-Length: 15\r\nExpect: 100-continue\r\n\r\n");
  good.setReceiveTimeout(Poco::Timespan(5, 0));
  char buffer[64];
  const int got = good.receiveBytes(buffer, sizeof buffer);
  EXPECT_EQ(std::string(buffer, static_cast<std::size_t>(got)), "HTTP/1.1 100 Continue\r\n\r\n");
  good.sendBytes("{\"name\": \"two\"}", 15);
  const int more = good.receiveBytes(buffer, sizeof buffer);
  EXPECT_TRUE(std::string(buffer, static_cast<std::size_t>(more)).starts_with("HTTP/1.1 201"));
  auto bad = sent("POST /v1/apps HTTP/1.1\r\nHost: x\r\nContent-Length: 15\r\nExpect: 100-continue\r\n\r\n");
  EXPECT_TRUE(everything(bad).starts_with("HTTP/1.1 401"));
}

}  // namespace
}  // namespace cloister::testing
