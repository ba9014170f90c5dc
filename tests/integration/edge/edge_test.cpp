// EdgeMap and the generated configuration against a real HAProxy: routing, changes under load, restarts on either side.
#include "controlplane/edge/edge.h"

#include <Poco/Net/HTTPRequestHandler.h>
#include <Poco/Net/HTTPRequestHandlerFactory.h>
#include <Poco/Net/HTTPServer.h>
#include <Poco/Net/HTTPServerRequest.h>
#include <Poco/Net/HTTPServerResponse.h>
#include <Poco/Net/ServerSocket.h>
#include <gtest/gtest.h>

#include <atomic>
#include <chrono>
#include <fstream>
#include <memory>
#include <set>
#include <string>
#include <thread>

#include "sandbox/base/identity.h"
#include "tests/integration/edge/harness.h"

namespace cloister::edge {
namespace {

using namespace std::chrono_literals;
namespace net = Poco::Net;

// Answers every request with its own name and what the edge told it.
class App {
 public:
  explicit App(const std::string& name) : socket_(net::SocketAddress("127.0.0.1", 0)) {
    auto* parameters = new net::HTTPServerParams;
    parameters->setMaxThreads(8);
    parameters->setKeepAlive(true);
    server_ = std::make_unique<net::HTTPServer>(new Factory(name), socket_, parameters);
    server_->start();
  }
  ~App() { server_->stopAll(true); }
  App(const App&) = delete;
  App& operator=(const App&) = delete;
  [[nodiscard]] Backend backend() const { return {parseIpv4("127.0.0.1"), socket_.address().port()}; }

 private:
  class Handler : public net::HTTPRequestHandler {
   public:
    explicit Handler(std::string name) : name_(std::move(name)) {}
    void handleRequest(net::HTTPServerRequest& request, net::HTTPServerResponse& response) override {
      const auto body = name_ + " " + request.get("X-Forwarded-For", "-") + " " + request.get("X-Forwarded-Proto", "-");
      response.setContentLength(static_cast<std::streamsize>(body.size()));
      response.send() << body;
    }

   private:
    std::string name_;
  };
  class Factory : public net::HTTPRequestHandlerFactory {
   public:
    explicit Factory(std::string name) : name_(std::move(name)) {}
    net::HTTPRequestHandler* createRequestHandler(const net::HTTPServerRequest&) override { return new Handler(name_); }

   private:
    std::string name_;
  };
  net::ServerSocket socket_;
  std::unique_ptr<net::HTTPServer> server_;
};

TEST_F(Edge, RoutesByHostAndNothingElse) {
  const App first("first");
  const App second("second");
  startHaproxy();
  EdgeMap edge(edgeOptions());
  ASSERT_TRUE(edge.apply({{"a.demo.localhost", to({first.backend()})},
                          {"b.demo.localhost", to({second.backend()})},
                          {"idle.demo.localhost", to({})}}))
      << edge.lastError();
  struct Case {
    const char* host;
    int status;
    const char* body;
  };
  for (const auto& [host, status, body] : {
           Case{"a.demo.localhost", 200, "first 127.0.0.1 http"},
           Case{"A.Demo.LOCALHOST:8080", 200, "first 127.0.0.1 http"},
           Case{"b.demo.localhost.", 200, "second 127.0.0.1 http"},
           Case{"b.demo.localhost.:80", 200, "second 127.0.0.1 http"},
           Case{"idle.demo.localhost", 503,
                "503: this app has no running instance; its owner sees why with: cloister ps\n"},
           Case{"c.demo.localhost", 404, "404: there is no app of this name\n"},
           Case{"a.demo.localhost#0", 404, "404: there is no app of this name\n"},
           Case{"127.0.0.1", 404, "404: there is no app of this name\n"},
       }) {
    const auto answer = get(host);
    EXPECT_EQ(answer.status, status) << host;
    EXPECT_EQ(answer.body, body) << host;
  }
}

TEST_F(Edge, RefusesADestinationOutsideTheInstances) {
  startHaproxy();
  EdgeMap edge(edgeOptions());
  ASSERT_TRUE(edge.apply({{"evil.demo.localhost", to({{parseIpv4("192.0.2.1"), 80}})}})) << edge.lastError();
  EXPECT_EQ(get("evil.demo.localhost").status, 503);
}

TEST_F(Edge, SpreadsOverAllSlots) {
  const App first("first");
  const App second("second");
  startHaproxy();
  EdgeMap edge(edgeOptions());
  ASSERT_TRUE(edge.apply({{"a.demo.localhost", to({first.backend(), second.backend()})}})) << edge.lastError();
  std::set<std::string> seen;
  for (int i = 0; i < 60; ++i) seen.insert(get("a.demo.localhost").body.substr(0, 5));
  EXPECT_EQ(seen.size(), 2U);
}

// A connection to one app must never carry a request for another one.
TEST_F(Edge, NeverMixesTwoAppsOnKeptConnections) {
  const App first("first");
  const App second("second");
  startHaproxy();
  EdgeMap edge(edgeOptions());
  ASSERT_TRUE(edge.apply({{"a.demo.localhost", to({first.backend()})}, {"b.demo.localhost", to({second.backend()})}}));
  for (int i = 0; i < 50; ++i) {
    EXPECT_TRUE(get("a.demo.localhost").body.starts_with("first"));
    EXPECT_TRUE(get("b.demo.localhost").body.starts_with("second"));
  }
}

TEST_F(Edge, LosesNoRequestWhileRoutesChange) {
  const App one("one");
  const App two("two");
  const App three("three");
  startHaproxy();
  EdgeMap edge(edgeOptions());
  ASSERT_TRUE(edge.apply({{"a.demo.localhost", to({one.backend(), two.backend(), three.backend()})}}));
  std::atomic<bool> stop{false};
  std::atomic<int> good{0};
  std::atomic<int> bad{0};
  std::vector<std::thread> clients;
  for (int i = 0; i < 2; ++i) {
    clients.emplace_back([&] {
      while (!stop) {
        try {
          (get("a.demo.localhost").status == 200 ? good : bad)++;
        } catch (const Poco::Exception&) {
          ++bad;
        }
      }
    });
  }
  const std::vector<std::vector<Backend>> shapes = {
      {one.backend()},
      {two.backend(), three.backend()},
      {three.backend()},
      {one.backend(), two.backend(), three.backend()},
      {three.backend(), one.backend()},
  };
  bool applied = true;
  for (int round = 0; round < 60; ++round) {
    Routes routes{{"a.demo.localhost", to(shapes[static_cast<std::size_t>(round) % shapes.size()])}};
    if (round % 3 == 0) routes["other.demo.localhost"] = to({two.backend()});
    applied = applied && edge.apply(routes);
    std::this_thread::sleep_for(10ms);
  }
  stop = true;
  for (auto& client : clients) client.join();
  EXPECT_TRUE(applied) << edge.lastError();
  EXPECT_EQ(bad, 0);
  EXPECT_GT(good, 100);
  std::cout << good << " requests during 60 changes\n";
}

TEST_F(Edge, AdoptsWhatHaproxyHasAfterItsOwnRestart) {
  const App first("first");
  const App second("second");
  startHaproxy();
  {
    EdgeMap before(edgeOptions());
    ASSERT_TRUE(
        before.apply({{"a.demo.localhost", to({first.backend()})}, {"gone.demo.localhost", to({first.backend()})}}));
  }
  EdgeMap after(edgeOptions());
  ASSERT_TRUE(after.apply({{"a.demo.localhost", to({second.backend()})}})) << after.lastError();
  EXPECT_TRUE(get("a.demo.localhost").body.starts_with("second"));
  EXPECT_EQ(get("gone.demo.localhost").status, 404);
}

TEST_F(Edge, SurvivesHaproxyBeingAwayAndComingBack) {
  const App first("first");
  const App second("second");
  EdgeMap edge(edgeOptions());
  EXPECT_TRUE(edge.apply({{"a.demo.localhost", to({first.backend()})}}));
  EXPECT_FALSE(edge.lastError().empty());
  startHaproxy();
  EXPECT_TRUE(get("a.demo.localhost").body.starts_with("first")) << "read from the files";
  EXPECT_TRUE(edge.apply({{"a.demo.localhost", to({second.backend()})}}));
  EXPECT_TRUE(edge.lastError().empty()) << edge.lastError();
  EXPECT_TRUE(get("a.demo.localhost").body.starts_with("second"));
  stopHaproxy();
  std::ofstream(directory_ / "hosts.map")
      << "stale.demo.localhost 0:ap1:t1:none\n";  // as if it had started from older files
  startHaproxy();
  EXPECT_TRUE(edge.apply({{"a.demo.localhost", to({second.backend()})}})) << edge.lastError();
  EXPECT_TRUE(get("a.demo.localhost").body.starts_with("second"));
  EXPECT_EQ(get("stale.demo.localhost").status, 404);
}

TEST_F(Edge, ReplacesWholeMapsWhenMuchChanges) {
  const App first("first");
  startHaproxy();
  EdgeMap edge(edgeOptions());
  Routes routes;
  for (int i = 0; i < 5'000; ++i) routes["app" + std::to_string(i) + ".demo.localhost"] = to({first.backend()});
  ASSERT_TRUE(edge.apply(routes)) << edge.lastError();
  EXPECT_EQ(get("app0.demo.localhost").status, 200);
  EXPECT_EQ(get("app4999.demo.localhost").status, 200);
  EXPECT_NE(mapFile("slots.map").find("app4999.demo.localhost#0 127.0.0.1:"), std::string::npos);
  EdgeMap again(edgeOptions());  // reads 5,000 routes back and finds one missing
  routes.erase("app17.demo.localhost");
  ASSERT_TRUE(again.apply(routes)) << again.lastError();
  EXPECT_EQ(get("app17.demo.localhost").status, 404);
  EXPECT_EQ(get("app18.demo.localhost").status, 200);
}

}  // namespace
}  // namespace cloister::edge
