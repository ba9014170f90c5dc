// What the tool says of releases: the notice beforehand, a refusal with the app's last words; and what it asks before
// it removes.
#include <gtest/gtest.h>

#include <fstream>

#include "tests/unit/api/cli/cli_run.h"
#include "tests/unit/api/cli/temporary_directory.h"
#include "tests/unit/api/cli/test_server.h"

namespace cloister::cli {
namespace {

using test::Asked;
using test::cloister;
using test::Outcome;
using test::TestServer;
using Answer = TestServer::Answer;
using ServerRequest = TestServer::Request;

std::string logLine(const std::string& instance, const std::string& stream, const std::string& line) {
  return R"(data: {"at":"2026-01-31T12:00:05Z","process":"web","instance":")" + instance + R"(","stream":")" + stream +
         R"(","line":")" + line + "\"}\n\n";
}

// An operation that fails with the instance in-2; `log` is what its app's log answers.
TestServer::Handler refusing(const std::string& log, int status = 200) {
  return [log, status](const Asked& asked, std::size_t, ServerRequest&, Answer& answer) {
    if (asked.uri.find("/logs") != std::string::npos)
      return TestServer::reply(answer, status, log, status == 200 ? "text/event-stream" : "application/problem+json");
    TestServer::reply(
        answer, asked.method == "GET" ? 200 : 202,
        R"({"id":"op-1","subject":"app/shop","state":"failed","notice":"web stops first","failure":{"code":"release_failed",)"
        R"("detail":"v2 was refused: web: ended with exit code 3; v1 still serves","instance":"in-2"}})");
  };
}

TEST(Refusal, ShowsTheLastLinesOfTheInstanceThatFailed) {
  std::string log = logLine("in-1", "stdout", "an old one's") + logLine("in-2", "system", "started in-2-1");
  for (int i = 0; i < 12; ++i) log += logLine("in-2", "stderr", "line " + std::to_string(i));
  const TestServer server(refusing(log));
  const Outcome outcome = cloister({"config", "set", "A=1", "--app", "shop"}, server.url());
  EXPECT_EQ(outcome.code, 1);
  EXPECT_EQ(outcome.out, "");
  std::string wanted =
      "Note: web stops first\ncloister: v2 was refused: web: ended with exit code 3; v1 still serves [release_failed]\n"
      "Its last lines:\n";
  for (int i = 2; i < 12; ++i) wanted += "  line " + std::to_string(i) + "\n";
  EXPECT_EQ(outcome.err, wanted);
}

TEST(Refusal, ShowsWhatTheLastAttemptWroteAlone) {
  std::string log;
  for (int attempt = 1; attempt <= 3; ++attempt) {
    log += logLine("in-2", "system", "started in-2-" + std::to_string(attempt)) +
           logLine("in-2", "stderr", "no database, attempt " + std::to_string(attempt)) +
           logLine("in-2", "system", "ended with exit code 3");
  }
  log += logLine("in-2", "system", "started in-2-4");
  // The next one has not ended, and perhaps not written, yet.
  for (const auto& next : {std::string(), logLine("in-2", "stdout", "listening")}) {
    const TestServer server(refusing(log + next));
    const Outcome outcome = cloister({"restart", "shop"}, server.url());
    EXPECT_NE(outcome.err.find("Its last lines:\n  no database, attempt 3\n"), std::string::npos) << outcome.err;
    EXPECT_EQ(outcome.err.find("listening"), std::string::npos) << outcome.err;
  }
}

TEST(Refusal, SaysWhereTheLinesAreWhenTheyCannotBeHad) {
  const TestServer server(refusing(R"({"code":"node_unavailable","detail":"no node"})", 404));
  const Outcome outcome = cloister({"restart", "shop"}, server.url());
  EXPECT_EQ(outcome.code, 1);
  EXPECT_NE(outcome.err.find("Its last lines: cloister logs shop\n"), std::string::npos) << outcome.err;
  EXPECT_EQ(server.asked().at(0).uri, "/v1/apps/shop/restart");
  EXPECT_EQ(server.asked().at(0).method, "POST");
}

TEST(Removal, OfATenantNeedsYesWhereNobodyCanBeAsked) {
  const TestServer server([](const Asked&, std::size_t, ServerRequest&, Answer& answer) {
    TestServer::reply(answer, 202, R"({"id":"op-1","state":"succeeded"})");
  });
  const Outcome refused = cloister({"tenant", "rm", "acme"}, server.url());
  EXPECT_EQ(refused.code, 2);
  EXPECT_NE(refused.err.find("--yes"), std::string::npos) << refused.err;
  EXPECT_TRUE(server.asked().empty());
  EXPECT_EQ(cloister({"tenant", "rm", "acme", "--yes"}, server.url()).code, 0);
  EXPECT_EQ(cloister({"app", "rm", "shop"}, server.url()).code, 0) << "scripts do so";
}

TEST(Plans, AreRemovedAndHaveASurge) {
  const TestServer server([](const Asked&, std::size_t, ServerRequest&, Answer& answer) {
    TestServer::reply(answer, 200, R"({"name":"small"})");
  });
  EXPECT_EQ(cloister({"plan", "rm", "small"}, server.url()).out, "plan small removed\n");
  EXPECT_EQ(server.asked().at(0).method, "DELETE");
  const std::vector<std::pair<std::vector<std::string>, std::string>> surges{
      {{"--surge"}, "100"}, {{"--surge", "50%"}, "50"}, {{"--surge", "0.25"}, "25"}, {{"--surge", "0"}, "0"}};
  for (std::size_t i = 0; i < surges.size(); ++i) {
    std::vector<std::string> arguments{"plan", "set", "small"};
    arguments.insert(arguments.end(), surges[i].first.begin(), surges[i].first.end());
    EXPECT_EQ(cloister(arguments, server.url()).code, 0);
    EXPECT_EQ(server.asked().at(i + 1).body, R"({"limits":{"surge_percent":)" + surges[i].second + "}}");
  }
  for (const char* bad : {"101%", "2", "-1", "much"}) {
    EXPECT_EQ(cloister({"plan", "set", "small", "--surge=" + std::string(bad)}, server.url()).code, 2) << bad;
  }
}

TEST(DeploySettle, IsAskedFor) {
  const TestServer server([](const Asked&, std::size_t, ServerRequest&, Answer& answer) {
    TestServer::reply(answer, 202, R"({"id":"op-1","state":"succeeded"})");
  });
  const test::TemporaryDirectory directory;
  std::ofstream(directory.path() / "Procfile") << "web: true\n";
  const Outcome outcome =
      cloister({"deploy", directory.path().string(), "--app", "shop", "--settle", "500ms", "--no-wait"}, server.url());
  EXPECT_EQ(outcome.code, 0) << outcome.err;
  EXPECT_EQ(server.asked().at(0).uri, "/v1/apps/shop/deployments?create=true&settle=500ms");
}

}  // namespace
}  // namespace cloister::cli
