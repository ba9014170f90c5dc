// exec and logs: frames through the daemon, both ways, and what happens when no node comes.
#include <Poco/Buffer.h>
#include <Poco/Net/HTTPClientSession.h>
#include <Poco/Net/HTTPRequest.h>
#include <Poco/Net/HTTPResponse.h>
#include <Poco/Net/NetException.h>
#include <Poco/Net/WebSocket.h>
#include <gtest/gtest.h>

#include <chrono>
#include <future>

#include "daemon_process.h"
#include "fake_node.h"
#include "http_client.h"

namespace cloister::testing {
namespace {

using Poco::Net::WebSocket;

struct Sessions : ::testing::Test {
  DaemonProcess daemon{"session_join_seconds = 2"};
  HttpClient admin{daemon.port(), daemon.adminToken()};
  HttpClient alice = makeTenant(admin, "alice");
  FakeNode node{daemon.nodeSocket(), daemon.nodeToken()};

  // An app with one instance that runs.
  void SetUp() override {
    auto work = node.desired(-1);
    ASSERT_EQ(node.report(*work, model::InstanceState::pending).status, 204);
    const auto source = tarGz({{"Procfile", "web: ./serve\n"}});
    ASSERT_EQ(
        alice.send("POST", "/v1/apps/shop/deployments?create=true", source, {{"Content-Type", "application/gzip"}})
            .status,
        202);
    work = node.await([](const auto& w) { return !w.builds.empty(); });
    ASSERT_TRUE(work.has_value());
    const model::BuildReport built{work->builds[0].id, model::BuildState::succeeded, node.putBlob("slug"), {}};
    ASSERT_EQ(node.report(*work, model::InstanceState::pending, {built}).status, 204);
    work = node.await([](const auto& w) { return !w.instances.empty(); });
    ASSERT_TRUE(work.has_value());
    ASSERT_EQ(node.report(*work, model::InstanceState::running).status, 204);
  }

  [[nodiscard]] std::unique_ptr<WebSocket> open(const std::string& path) const { return openAs(alice.token(), path); }
  [[nodiscard]] std::unique_ptr<WebSocket> openAs(const std::string& token, const std::string& path) const {
    Poco::Net::HTTPClientSession session("127.0.0.1", daemon.port());
    Poco::Net::HTTPRequest request("GET", path, Poco::Net::HTTPRequest::HTTP_1_1);
    request.setCredentials("Bearer", token);
    Poco::Net::HTTPResponse response;
    auto socket = std::make_unique<WebSocket>(session, request, response);
    socket->setReceiveTimeout(Poco::Timespan(10, 0));
    return socket;
  }
};

void sendText(WebSocket& socket, const std::string& text) {
  socket.sendFrame(text.data(), static_cast<int>(text.size()), WebSocket::FRAME_BINARY);
}

std::string receiveText(WebSocket& socket) {
  Poco::Buffer<char> buffer(0);
  int flags = 0;
  (void)socket.receiveFrame(buffer, flags);
  if ((flags & WebSocket::FRAME_OP_BITMASK) == WebSocket::FRAME_OP_CLOSE || buffer.size() == 0) return {};
  return {buffer.begin(), buffer.size()};
}

TEST_F(Sessions, ExecCarriesFramesBothWaysAndEndsWithTheNode) {
  auto opening = std::async(std::launch::async, [this] { return open("/v1/apps/shop/exec?tty=true&rows=50"); });
  const auto work = node.await([](const auto& w) { return !w.sessions.empty(); });
  ASSERT_TRUE(work.has_value());
  const auto& session = work->sessions[0];
  EXPECT_EQ(session.kind, model::SessionKind::exec);
  EXPECT_TRUE(session.terminal);
  EXPECT_EQ(session.rows, 50);
  EXPECT_EQ(session.instanceId, work->instances[0].id);
  const auto nodeEnd = node.join(session.id);
  const auto client = opening.get();
  sendText(*client, std::string(1, '\0') + "hello");
  EXPECT_EQ(receiveText(*nodeEnd), std::string(1, '\0') + "hello");
  const std::string large = '\x01' + std::string(500'000, 'x');
  sendText(*nodeEnd, large);
  EXPECT_EQ(receiveText(*client), large);
  sendText(*nodeEnd, "\x03{\"exit\": 0}");
  EXPECT_EQ(receiveText(*client), "\x03{\"exit\": 0}");
  nodeEnd->shutdown();
  EXPECT_EQ(receiveText(*client), "") << "the client's end closes with the node's";
  EXPECT_THROW((void)node.join(session.id), Poco::Exception) << "a session is joined once";
}

// A quick command is over before its caller has said that there is no more input.
TEST_F(Sessions, WhatTheNodeSaidBeforeItLeftArrivesWhateverTheClientStillSends) {
  constexpr int kRounds = 20;
  constexpr int kPieces = 40;
  const std::string piece = '\x01' + std::string(4'000, 'x');
  for (int round = 0; round < kRounds; ++round) {
    auto opening = std::async(std::launch::async, [this] { return open("/v1/apps/shop/exec"); });
    const auto work = node.await([](const auto& w) { return !w.sessions.empty(); });
    ASSERT_TRUE(work.has_value());
    auto nodeEnd = node.join(work->sessions[0].id);
    const auto client = opening.get();
    for (int i = 0; i < kPieces; ++i) sendText(*nodeEnd, piece);
    sendText(*nodeEnd, "\x03{\"exit\": 7}");
    nodeEnd.reset();
    std::string last;
    for (int i = 0; i <= kPieces; ++i) {
      sendText(*client, std::string(1, '\0') + "more");
      last = receiveText(*client);
      ASSERT_FALSE(last.empty()) << "round " << round << ", after " << i << " of " << kPieces;
    }
    EXPECT_EQ(last, "\x03{\"exit\": 7}");
  }
}

TEST_F(Sessions, ANodeThatIsGoneWithoutALastWordIsTold) {
  auto opening = std::async(std::launch::async, [this] { return open("/v1/apps/shop/exec"); });
  const auto work = node.await([](const auto& w) { return !w.sessions.empty(); });
  ASSERT_TRUE(work.has_value());
  auto nodeEnd = node.join(work->sessions[0].id);
  const auto client = opening.get();
  sendText(*nodeEnd, "\x01output");
  nodeEnd.reset();
  EXPECT_EQ(receiveText(*client), "\x01output");
  const auto told = receiveText(*client);
  EXPECT_NE(told.find("\"error\":\"the node that ran the command is gone"), std::string::npos) << told;
  EXPECT_EQ(receiveText(*client), "");
}

TEST_F(Sessions, ANodeThatDoesNotComeIsA503) {
  const auto start = std::chrono::steady_clock::now();
  const auto logs = alice.send("GET", "/v1/apps/shop/logs");
  EXPECT_EQ(logs.status, 503) << logs.body;
  EXPECT_EQ(logs.text("code"), "node_unavailable");
  EXPECT_THROW((void)open("/v1/apps/shop/exec"), Poco::Exception);
  EXPECT_LT(std::chrono::steady_clock::now() - start, std::chrono::seconds(8));
}

TEST_F(Sessions, LogsComeAsLinesOrAsEvents) {
  for (const char* accept : {"application/x-ndjson", "text/event-stream"}) {
    auto asking = std::async(std::launch::async, [&] {
      return alice.send("GET", "/v1/apps/shop/logs?lines=2&since=1h&process=web", "", {{"Accept", accept}});
    });
    const auto work = node.await([](const auto& w) { return !w.sessions.empty(); });
    ASSERT_TRUE(work.has_value());
    const auto& session = work->sessions[0];
    EXPECT_EQ(session.kind, model::SessionKind::logs);
    EXPECT_EQ(session.lines, 2);
    EXPECT_EQ(session.process, "web");
    EXPECT_GT(session.since, 0);
    EXPECT_FALSE(session.follow);
    const auto nodeEnd = node.join(session.id);
    model::LogLine line{1'700'000'000'000'000, "shop", "web", "in-1", "stdout", "GET / 200"};
    for (int i = 0; i < 3; ++i) sendText(*nodeEnd, '\x01' + model::toJson(line));
    nodeEnd->shutdown();
    const auto reply = asking.get();
    EXPECT_EQ(reply.status, 200);
    EXPECT_EQ(reply.headers.at("Content-Type"), accept);
    EXPECT_NE(reply.body.find("\"at\":\"2023-11-14T22:13:20.000000Z\""), std::string::npos) << reply.body;
    const auto first = reply.body.find("GET / 200");
    const auto last = reply.body.rfind("GET / 200");
    EXPECT_NE(first, std::string::npos);
    EXPECT_NE(first, last);
  }
}

TEST_F(Sessions, ARunHasAnInstanceOfItsOwnAndGivesItBack) {
  auto opening = std::async(std::launch::async, [this] { return open("/v1/apps/shop/run"); });
  const auto work = node.await([](const auto& w) { return !w.sessions.empty(); });
  ASSERT_TRUE(work.has_value());
  const auto& session = work->sessions[0];
  EXPECT_EQ(session.kind, model::SessionKind::run);
  EXPECT_FALSE(session.runInstance.id.empty());
  EXPECT_NE(session.runInstance.address, 0U);
  const auto nodeEnd = node.join(session.id);
  const auto client = opening.get();
  EXPECT_EQ(alice.send("GET", "/v1/apps/shop/instances").json()->getArray("items")->size(), 2U);
  client->shutdown();
  EXPECT_EQ(receiveText(*nodeEnd), "") << "the node's end closes with the client's";
  std::size_t left = 2;
  for (int i = 0; i < 100 && left > 1; ++i)
    left = alice.send("GET", "/v1/apps/shop/instances").json()->getArray("items")->size();
  EXPECT_EQ(left, 1U);
}

// What ends a stream that its caller may no longer have, whoever of the two ends is waited for.
TEST_F(Sessions, ARevokedTokensStreamsEndWithinASecond) {
  const auto made = alice.send("POST", "/v1/tokens", R"({"name": "ci"})");
  const HttpClient ci(daemon.port(), made.text("secret"));
  const auto follow = [&](const std::string& path) {
    return std::async(std::launch::async, [&ci, path] {
      try {
        return ci.send("GET", path).status;
      } catch (const Poco::Exception&) {
        return 0;
      }
    });
  };
  auto events = follow("/v1/events?follow=true");
  auto logs = follow("/v1/apps/shop/logs?follow=true");
  auto work = node.await([](const auto& w) { return !w.sessions.empty(); });
  ASSERT_TRUE(work.has_value());
  const auto logsEnd = node.join(work->sessions[0].id);
  auto opening = std::async(std::launch::async, [&] { return openAs(ci.token(), "/v1/apps/shop/exec"); });
  work =
      node.await([](const auto& w) { return !w.sessions.empty() && w.sessions[0].kind == model::SessionKind::exec; });
  ASSERT_TRUE(work.has_value());
  const auto execEnd = node.join(work->sessions[0].id);
  const auto client = opening.get();
  auto others = std::async(std::launch::async, [this] { return open("/v1/apps/shop/exec"); });
  work =
      node.await([](const auto& w) { return !w.sessions.empty() && w.sessions[0].kind == model::SessionKind::exec; });
  ASSERT_TRUE(work.has_value());
  const auto othersEnd = node.join(work->sessions[0].id);
  const auto other = others.get();

  const auto start = std::chrono::steady_clock::now();
  ASSERT_EQ(alice.send("DELETE", "/v1/tokens/" + made.text("id")).status, 204);
  EXPECT_EQ(receiveText(*client), "\x03{\"error\":\"the token was revoked\"}");
  EXPECT_EQ(receiveText(*client), "");
  EXPECT_EQ(receiveText(*execEnd), "") << "so does the node's end";
  EXPECT_EQ(receiveText(*logsEnd), "");
  (void)events.get();
  (void)logs.get();
  EXPECT_LT(std::chrono::steady_clock::now() - start, std::chrono::seconds(1));
  sendText(*othersEnd, "\x01still");
  EXPECT_EQ(receiveText(*other), "\x01still") << "another token's goes on";
}

// Neither end reads: both directions wait in a send.
TEST_F(Sessions, ARevokedTokensStreamEndsAlsoWhenNobodyReads) {
  const auto made = alice.send("POST", "/v1/tokens", R"({"name": "ci"})");
  auto opening = std::async(std::launch::async, [&] { return openAs(made.text("secret"), "/v1/apps/shop/exec"); });
  const auto work = node.await([](const auto& w) { return !w.sessions.empty(); });
  ASSERT_TRUE(work.has_value());
  const auto nodeEnd = node.join(work->sessions[0].id);
  const auto client = opening.get();
  const auto flood = [](WebSocket& socket) {
    return std::async(std::launch::async, [&socket] {
      try {
        for (int i = 0; i < 1'000; ++i) sendText(socket, std::string(1, '\1') + std::string(100'000, 'x'));
      } catch (const Poco::Exception&) {
        return true;
      }
      return false;
    });
  };
  client->setSendTimeout(Poco::Timespan(20, 0));
  nodeEnd->setSendTimeout(Poco::Timespan(20, 0));
  auto up = flood(*client);
  auto down = flood(*nodeEnd);
  std::this_thread::sleep_for(std::chrono::milliseconds(500));
  const auto start = std::chrono::steady_clock::now();
  ASSERT_EQ(alice.send("DELETE", "/v1/tokens/" + made.text("id")).status, 204);
  EXPECT_TRUE(up.get());
  EXPECT_TRUE(down.get());
  EXPECT_LT(std::chrono::steady_clock::now() - start, std::chrono::milliseconds(2'500));
}

TEST_F(Sessions, CommandsOfATenantThatIsSuspendedEnd) {
  auto opening = std::async(std::launch::async, [this] { return open("/v1/apps/shop/run"); });
  const auto work = node.await([](const auto& w) { return !w.sessions.empty(); });
  ASSERT_TRUE(work.has_value());
  const auto nodeEnd = node.join(work->sessions[0].id);
  const auto client = opening.get();
  ASSERT_EQ(admin.send("POST", "/v1/tenants/alice/suspend").status, 200);
  EXPECT_EQ(receiveText(*client), "\x03{\"error\":\"the tenant was suspended\"}");
}

TEST_F(Sessions, AStreamOfAnAppThatIsRemovedEnds) {
  auto opening = std::async(std::launch::async, [this] { return open("/v1/apps/shop/exec"); });
  const auto work = node.await([](const auto& w) { return !w.sessions.empty(); });
  ASSERT_TRUE(work.has_value());
  const auto nodeEnd = node.join(work->sessions[0].id);
  const auto client = opening.get();
  ASSERT_EQ(alice.send("DELETE", "/v1/apps/shop").status, 202);
  EXPECT_EQ(receiveText(*client), "\x03{\"error\":\"the app was removed\"}");
}

TEST_F(Sessions, AStopOfTheDaemonEndsStreamsAtOnce) {
  auto following = std::async(std::launch::async, [this] {
    try {
      return alice.send("GET", "/v1/events?follow=true").status;
    } catch (const Poco::Exception&) {
      return 0;
    }
  });
  std::this_thread::sleep_for(std::chrono::milliseconds(300));
  const auto start = std::chrono::steady_clock::now();
  daemon.terminate();
  EXPECT_LT(std::chrono::steady_clock::now() - start, std::chrono::seconds(4));
  (void)following.get();
}

}  // namespace
}  // namespace cloister::testing
