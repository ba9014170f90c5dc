// What the edge bounds, and what it says: heads, silence, shares of a source, an app and a tenant; dead slots; headers
// that strangers must not send.
#include <chrono>
#include <memory>
#include <string>
#include <vector>

#include "sandbox/base/identity.h"
#include "tests/integration/edge/harness.h"

namespace cloister::edge {
namespace {

using namespace std::chrono_literals;
using std::chrono::steady_clock;
using ::testing::Test;

constexpr const char* kHost = "a.demo.localhost";

std::string answerOf(const std::string& body, const std::string& headers = "") {
  return "HTTP/1.1 200 OK\r\n" + headers + "Content-Length: " + std::to_string(body.size()) + "\r\n\r\n" + body;
}

bool has(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

// Answers with the head that it was sent.
bool echo(const Client& client, const std::string& head) {
  client.send(answerOf(head));
  return true;
}

// Until its connection is closed.
bool silent(const Client& client, const std::string& /*head*/) {
  (void)client.receive("", 60);
  return false;
}

class EdgeLimits : public Edge {
 protected:
  void start(const Routes& routes) {
    startHaproxy();
    map_ = std::make_unique<EdgeMap>(edgeOptions());
    ASSERT_TRUE(map_->apply(routes) && map_->lastError().empty()) << map_->lastError();
  }
  // Connections that have each sent one request, which nobody answers.
  [[nodiscard]] std::vector<std::unique_ptr<Client>> waiting(int count, const std::string& host,
                                                             const std::string& source) {
    std::vector<std::unique_ptr<Client>> clients;
    for (int i = 0; i < count; ++i) {
      clients.push_back(std::make_unique<Client>(port_, source));
      clients.back()->send(request(host));
    }
    std::this_thread::sleep_for(200ms);
    return clients;
  }
  std::unique_ptr<EdgeMap> map_;
};

TEST_F(EdgeLimits, NoStrangersWordAboutTheClientReachesAnApp) {
  const RawApp app(echo);
  start({{kHost, to({app.backend()})}});
  // Each with a value that the app must not see.
  const std::string forged = "forged-by-a-stranger";
  std::string headers;
  for (const char* name : {"X-Forwarded-For",
                           "X_Forwarded_For",
                           "X-Forwarded_For",
                           "x_FORWARDED-for",
                           "X.Forwarded.For",
                           "X-Forwarded-Proto",
                           "X-Forwarded_Proto",
                           "X_FORWARDED_HOST",
                           "X-Forwarded-Port",
                           "X-Forwarded-Ssl",
                           "X-Forwarded-Scheme",
                           "X-Forwarded-Server",
                           "X-Forwarded-Prefix",
                           "X-Forwarded-By",
                           "X-Forwarded",
                           "Forwarded",
                           "Forwarded-For",
                           "X-Real-IP",
                           "X_Real_IP",
                           "X-Original-URL",
                           "X-Original-Host",
                           "X_Original_Forwarded_For",
                           "X-Rewrite-URL",
                           "X-Client-IP",
                           "Client-IP",
                           "True-Client-IP",
                           "True_Client_IP",
                           "CF-Connecting-IP",
                           "Fastly-Client-IP",
                           "X-Cluster-Client-IP",
                           "X-Remote-User",
                           "Remote_User",
                           "Front-End-Https",
                           "X-Url-Scheme",
                           "Proxy",
                           "X-SSL-Client-Verify",
                           "X-Accel-Mapping",
                           "X-Sendfile-Type",
                           "Content_Type",
                           "Content_Length",
                           "Transfer_Encoding"}) {
    headers += std::string(name) + ": " + forged + "\r\n";
  }
  headers += "X-Mine: kept-1\r\napi_key: kept-2\r\nX-Request-Id: kept-3\r\nProxy-Authorization: kept-4\r\n";
  const auto seen = ask(request(kHost, "/", headers));
  EXPECT_TRUE(has(seen, "HTTP/1.1 200")) << seen;
  EXPECT_FALSE(has(seen, forged)) << seen;
  for (const char* kept :
       {"kept-1", "kept-2", "kept-3", "kept-4", "x-forwarded-for: 127.0.0.1\r\n", "x-forwarded-proto: http\r\n",
        "x-forwarded-host: a.demo.localhost\r\n", "x-forwarded-port: 80\r\n"}) {
    EXPECT_TRUE(has(seen, kept)) << kept << " in " << seen;
  }
}

// A proxy or gateway in the app drops what Connection names; so it must not name what the edge has set.
TEST_F(EdgeLimits, AClientCannotHaveAHeaderOfTheEdgeDropped) {
  const RawApp app(echo);
  start({{kHost, to({app.backend()})}});
  const auto seen = ask("GET / HTTP/1.1\r\nHost: a.demo.localhost\r\nConnection: close, X-Forwarded-For\r\n\r\n");
  EXPECT_FALSE(has(seen, "close, ")) << seen;
  EXPECT_TRUE(has(seen, "x-forwarded-for: 127.0.0.1")) << seen;
}

TEST_F(EdgeLimits, AnUpgradeIsPassedButNotToHttp2) {
  const RawApp app([](const Client& client, const std::string& head) {
    if (!has(head, "upgrade: websocket")) return echo(client, head);
    EXPECT_TRUE(has(head, "connection: upgrade")) << head;
    client.send(
        "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        "Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n");
    client.send("heard " + client.receive("!"));
    return false;
  });
  start({{kHost, to({app.backend()})}});
  const Client socket(port_);
  socket.send(
      "GET / HTTP/1.1\r\nHost: a.demo.localhost\r\nConnection: keep-alive, Upgrade\r\nUpgrade: websocket\r\n"
      "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n");
  EXPECT_TRUE(has(socket.receive("\r\n\r\n"), "101"));
  socket.send("hello!");
  EXPECT_EQ(socket.receive("hello!"), "heard hello!");
  const auto seen =
      ask("GET / HTTP/1.1\r\nHost: a.demo.localhost\r\nConnection: close, Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\n"
          "HTTP2-Settings: AAMAAABkAAQAAP__\r\n\r\n");
  EXPECT_TRUE(has(seen, "HTTP/1.1 200")) << seen;
  EXPECT_FALSE(has(seen, "h2c")) << seen;
}

TEST_F(EdgeLimits, EveryFormOfAHostIsTheSameApp) {
  const RawApp app(echo);
  start({{kHost, to({app.backend()})}});
  for (const char* bytes :
       {"GET / HTTP/1.1\r\nHost: A.Demo.LOCALHOST\r\nConnection: close\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: a.demo.localhost:8080\r\nConnection: close\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: a.demo.localhost.\r\nConnection: close\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: a.demo.localhost.:80\r\nConnection: close\r\n\r\n",
        "GET http://a.demo.localhost/ HTTP/1.1\r\nHost: a.demo.localhost\r\nConnection: close\r\n\r\n",
        "GET / HTTP/1.0\r\nHost: a.demo.localhost\r\n\r\n",
        "GET / HTTP/1.1\r\nhost:a.demo.localhost\r\nconnection: close\r\nX-Odd_Name: 1\r\n\r\n"}) {
    EXPECT_TRUE(has(ask(bytes), " 200 OK")) << bytes;
  }
  EXPECT_TRUE(
      has(ask("GET / HTTP/1.1\r\nHost: a.demo.localhost:8443\r\nConnection: close\r\n\r\n"), "x-forwarded-port: 8443"));
  if (options_.bind.size() < 2) return;
  const Client six(port_, "127.0.0.1", "::1");
  six.send(request(kHost));
  EXPECT_TRUE(has(six.receive(), "x-forwarded-for: ::1"));
}

TEST_F(EdgeLimits, HeadsPassUpToTheLimitAndTheRefusalNamesIt) {
  const RawApp app([](const Client& client, const std::string& head) {
    const auto at = head.find("/head?");
    const auto size = at == std::string::npos ? 0U : std::stoul(head.substr(at + 6));
    client.send(answerOf("whole", "X-Big: " + std::string(size, 'b') + "\r\n"));
    return true;
  });
  start({{kHost, to({app.backend()})}});
  const auto cookie = [&](std::size_t size) {
    return ask(request(kHost, "/", "Cookie: " + std::string(size, 'c') + "\r\n"));
  };
  for (const std::size_t size : {12'000U, 30'000U}) {
    EXPECT_TRUE(has(cookie(size), "whole")) << size;
    EXPECT_TRUE(has(ask(request(kHost, "/head?" + std::to_string(size))), "whole")) << size;
  }
  for (const std::size_t size : {40'000U, 100'000U}) {
    const auto large = cookie(size);
    EXPECT_TRUE(has(large, " 431 ") && has(large, "too large") && has(large, "32 KiB")) << size << large;
    const auto path = ask(request(kHost, "/" + std::string(size, 'p')));
    EXPECT_TRUE(has(path, " 414 ") && has(path, "too large") && has(path, "32 KiB")) << size << path;
    const auto answer = ask(request(kHost, "/head?" + std::to_string(size)));
    EXPECT_TRUE(has(answer, " 502 ") && has(answer, "too large") && has(answer, "32 KiB")) << size << answer;
  }
  const auto beyond = ask(request(kHost, "/head?300000"));
  EXPECT_TRUE(has(beyond, " 502 ") && has(beyond, "32 KiB")) << beyond;
  std::string many;
  for (int i = 0; i < 300; ++i) many += "X-" + std::to_string(i) + ": 1\r\n";
  EXPECT_TRUE(has(ask(request(kHost, "/", many)), "whole"));
}

// A second for the first byte here. What has begun may pause for longer; who says nothing is asked once.
TEST_F(EdgeLimits, TheFirstByteHasATimeAndTheRestAnother) {
  options_.answerSeconds = 1;
  const RawApp app([](const Client& client, const std::string& head) {
    if (has(head, "/stream")) {
      client.send("HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\ndata: 1\n\n");
      std::this_thread::sleep_for(2200ms);
      client.send("data: 2\n\n");
      return false;
    }
    if (has(head, "/late")) return silent(client, head);
    return echo(client, head);
  });
  start({{kHost, to({app.backend()})}});
  const auto stream = ask(request(kHost, "/stream"));
  EXPECT_TRUE(has(stream, "data: 1") && has(stream, "data: 2")) << stream;
  int asked = app.requests();
  for (const std::string& bytes : {request(kHost, "/late"),
                                   std::string("POST /late HTTP/1.1\r\nHost: a.demo.localhost\r\nConnection: close\r\n"
                                               "Content-Length: 2\r\n\r\nhi"),
                                   std::string("POST /late HTTP/1.1\r\nHost: a.demo.localhost\r\nConnection: close\r\n"
                                               "Content-Length: 2000000\r\n\r\n") +
                                       std::string(2'000'000, 'u')}) {
    const auto began = steady_clock::now();
    const auto answer = ask(bytes);
    EXPECT_TRUE(has(answer, " 504 ") && has(answer, " 1 s")) << answer;
    EXPECT_GE(steady_clock::now() - began, 850ms);
    EXPECT_LT(steady_clock::now() - began, 4s);
    EXPECT_EQ(app.requests(), ++asked) << "no second time";
  }
  // On a connection that has served before, too.
  const Client kept(port_);
  const std::string head = " HTTP/1.1\r\nHost: a.demo.localhost\r\n\r\n";
  kept.send("GET /" + head);
  EXPECT_TRUE(has(kept.receive("\r\n\r\n"), " 200 "));
  kept.send("GET /late" + head);
  EXPECT_TRUE(has(kept.receive("server\n", 4), " 504 "));
}

// An app that answers an upload by its head and ends the connection is heard while the upload goes on.
TEST_F(EdgeLimits, AnEarlyAnswerToAnUploadArrives) {
  const RawApp app([](const Client& client, const std::string&) {
    client.send("HTTP/1.1 413 Too Large\r\nConnection: close\r\nContent-Length: 8\r\n\r\nrefused\n");
    client.finish();
    std::this_thread::sleep_for(300ms);
    return false;
  });
  start({{kHost, to({app.backend()})}});
  constexpr std::size_t kSize = 400'000;
  for (int i = 0; i < 10; ++i) {
    const Client client(port_);
    client.send("POST / HTTP/1.1\r\nHost: a.demo.localhost\r\nContent-Length: " + std::to_string(2 * kSize) +
                "\r\n\r\n" + std::string(kSize, 'u'));
    EXPECT_TRUE(has(client.receive("refused\n", 5), " 413 ")) << i;
  }
}

TEST_F(EdgeLimits, ADeadSlotCostsNothingWhileAnotherLives) {
  const RawApp app(echo);
  start({{kHost, to({dead(), app.backend(), dead()})}, {"gone.demo.localhost", to({dead(), dead()}, "ap2", "t2")}});
  for (int i = 0; i < 40; ++i) {
    const auto began = steady_clock::now();
    const auto answer = i % 2 == 0 ? ask(request(kHost))
                                   : ask("POST / HTTP/1.1\r\nHost: a.demo.localhost\r\nConnection: close\r\n"
                                         "Content-Length: 5\r\n\r\nhello");
    EXPECT_TRUE(has(answer, " 200 OK") && has(answer, "x-forwarded-for: 127.0.0.1\r\n")) << answer;
    EXPECT_LT(steady_clock::now() - began, 700ms);
  }
  const auto began = steady_clock::now();
  const auto nobody = ask(request("gone.demo.localhost"));
  EXPECT_TRUE(has(nobody, " 503 ") && has(nobody, "no instance of this app")) << nobody;
  EXPECT_LT(steady_clock::now() - began, 4s);
}

TEST_F(EdgeLimits, OneAppsOrTenantsSilenceLeavesTheOthersTheirShare) {
  options_.connections.all = 160;
  const RawApp mute(silent);
  const RawApp app(echo);
  start({{"mute.demo.localhost", to({mute.backend()}, "ap1", "t1")},
         {"alias.example.org", to({mute.backend()}, "ap1", "t1")},
         {"mute2.demo.localhost", to({mute.backend()}, "ap2", "t1")},
         {"mute3.demo.localhost", to({app.backend()}, "ap3", "t1")},
         {"good.demo.localhost", to({app.backend()}, "ap4", "t2")}});
  const auto first = waiting(15, "mute.demo.localhost", "127.0.0.2");
  const auto other = waiting(5, "alias.example.org", "127.0.0.3");
  const auto over = ask(request("mute.demo.localhost"));
  EXPECT_TRUE(has(over, " 503 ") && has(over, "the limit of one app") && has(over, "20 requests")) << over;
  EXPECT_TRUE(has(ask(request("alias.example.org")), "the limit of one app")) << "by whatever name";
  EXPECT_TRUE(has(ask(request("mute3.demo.localhost")), " 200 ")) << "another app of the tenant";
  const auto second = waiting(20, "mute2.demo.localhost", "127.0.0.4");
  const auto tenant = ask(request("mute3.demo.localhost"));
  EXPECT_TRUE(has(tenant, " 503 ") && has(tenant, "the limit of one tenant") && has(tenant, "40 requests")) << tenant;
  EXPECT_TRUE(has(ask(request("good.demo.localhost")), " 200 "));
}

// Also of a stream that has begun and is silent: it may be so for an hour.
TEST_F(EdgeLimits, AClientThatLeavesGivesItsPlaceBack) {
  options_.connections.all = 160;
  const RawApp app([](const Client& client, const std::string& head) {
    if (has(head, "/echo")) return echo(client, head);
    if (has(head, "/stream")) client.send("HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\ndata: 1\n\n");
    return silent(client, head);
  });
  start({{kHost, to({app.backend()})}});
  for (const char* path : {"/silent", "/stream"}) {
    {
      std::vector<std::unique_ptr<Client>> clients;
      for (int i = 0; i < 20; ++i) {
        clients.push_back(std::make_unique<Client>(port_));
        clients.back()->send(request(kHost, path));
      }
      std::this_thread::sleep_for(300ms);
      EXPECT_TRUE(has(ask(request(kHost, "/echo")), "the limit of one app")) << path;
    }
    std::string answer;
    for (int i = 0; i < 50 && !has(answer, " 200 "); ++i) {
      std::this_thread::sleep_for(50ms);
      answer = ask(request(kHost, "/echo"));
    }
    EXPECT_TRUE(has(answer, " 200 ")) << path << answer;
  }
}

TEST_F(EdgeLimits, OneSourcesConnectionsLeaveTheOthersTheirShare) {
  options_.connections.all = 160;
  const RawApp app(echo);
  start({{kHost, to({app.backend()})}});
  std::vector<std::unique_ptr<Client>> idle;
  for (int i = 0; i < 60; ++i) {
    idle.push_back(std::make_unique<Client>(port_, "127.0.0.2"));
    if (i % 2 == 0) idle.back()->send("GET / HTTP/1.1\r\nHost: a.demo.localhost\r\nX-Slow: ");
  }
  std::this_thread::sleep_for(200ms);
  const auto told = ask(request(kHost), "127.0.0.2");
  EXPECT_TRUE(has(told, " 429 ") && has(told, "your address has more than 60 connections")) << told;
  EXPECT_TRUE(has(ask(request(kHost), "127.0.0.3"), " 200 "));
  for (int i = 0; i < 20; ++i) idle.push_back(std::make_unique<Client>(port_, "127.0.0.2"));
  std::this_thread::sleep_for(200ms);
  EXPECT_TRUE(idle.back()->closed()) << "not even read";
  EXPECT_TRUE(has(ask(request(kHost), "127.0.0.3"), " 200 "));
}

TEST_F(EdgeLimits, ASuspendedAppSaysSo) {
  Route route = to({});
  route.absence = Absence::suspended;
  start({{kHost, route}});
  const auto answer = ask(request(kHost));
  EXPECT_TRUE(has(answer, " 503 ") && has(answer, "suspended")) << answer;
}

}  // namespace
}  // namespace cloister::edge
