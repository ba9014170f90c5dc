// ledger, usage gaps, and usage verify with a head that was kept.
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
using ServerRequest = TestServer::Request;
using Answer = TestServer::Answer;

constexpr const char* kWhole = "event: chain\ndata: {\"tenant\":\"acme\",\"rows\":7,\"whole\":true}\n\n";
constexpr const char* kBroken =
    "event: chain\ndata: {\"tenant\":\"evil\",\"rows\":2,\"whole\":false,\"bad_row\":3,\"reason\":\"the row is "
    "missing\"}\n\n";

Outcome verifyOver(const std::string& body, const std::vector<std::string>& arguments) {
  const TestServer server([&](const Asked& asked, std::size_t, ServerRequest&, Answer& answer) {
    EXPECT_EQ(asked.uri, "/v1/ledger/verification");
    TestServer::reply(answer, 200, body, "text/event-stream");
  });
  return cloister(arguments, server.url());
}

TEST(LedgerCommand, VerifyTellsOfEachChain) {
  const std::string progress = "event: progress\ndata: {\"tenant\":\"acme\",\"rows\":5}\n\n";
  auto outcome = verifyOver(progress + kWhole + "event: done\ndata: {\"chains\":1,\"rows\":7,\"broken\":0}\n\n",
                            {"ledger", "verify"});
  EXPECT_EQ(outcome.code, 0) << outcome.err;
  EXPECT_EQ(outcome.out, "acme: holds: 7 rows\n1 chains, 7 rows, 0 broken\n");
  EXPECT_EQ(outcome.err, "acme: 5 rows so far\n");
  const std::string both =
      std::string(kWhole) + kBroken + "event: done\ndata: {\"chains\":2,\"rows\":9,\"broken\":1}\n\n";
  outcome = verifyOver(both, {"ledger", "verify"});
  EXPECT_EQ(outcome.code, 1);
  EXPECT_EQ(outcome.err, "cloister: evil: row 3: the row is missing\n");
  outcome = verifyOver(both, {"ledger", "verify", "-o", "json"});
  EXPECT_EQ(outcome.code, 1);
  EXPECT_NE(outcome.out.find("\"bad_row\":3"), std::string::npos) << outcome.out;
}

TEST(LedgerCommand, AVerificationThatWasCutIsNone) {
  const auto outcome = verifyOver(kWhole, {"ledger", "verify"});
  EXPECT_EQ(outcome.code, 1);
  EXPECT_NE(outcome.err.find("before all chains were verified"), std::string::npos) << outcome.err;
}

TEST(LedgerCommand, AsksForHeadsAnomaliesAndGaps) {
  const TestServer server([](const Asked& asked, std::size_t, ServerRequest&, Answer& answer) {
    TestServer::reply(answer, 200,
                      asked.uri.starts_with("/v1/ledger/head?") ? R"({"tenant":"acme","rows":7,"hash":"abc"})"
                                                                : R"({"items":[{"reason":"because"}]})");
  });
  EXPECT_NE(cloister({"ledger", "head", "--tenant", "acme"}, server.url()).out.find("abc"), std::string::npos);
  EXPECT_EQ(cloister({"ledger", "head", "--all"}, server.url()).code, 0);
  EXPECT_EQ(cloister({"ledger", "anomalies"}, server.url()).code, 0);
  const auto gaps = cloister({"usage", "gaps", "--tenant", "acme", "--from", "2026-01-31"}, server.url());
  EXPECT_NE(gaps.out.find("because"), std::string::npos) << gaps.out;
  const std::vector<std::string> uris{"/v1/ledger/head?tenant=acme", "/v1/ledger/heads", "/v1/ledger/anomalies",
                                      "/v1/usage/gaps?tenant=acme&from=2026-01-31T00%3A00%3A00Z"};
  for (std::size_t i = 0; i < uris.size(); ++i) EXPECT_EQ(server.asked().at(i).uri, uris.at(i));
}

TEST(LedgerCommand, AHeadThatCannotBeReadIsNamed) {
  const test::TemporaryDirectory directory;
  const auto statement = (directory.path() / "x.statement").string();
  const auto head = (directory.path() / "head.json").string();
  std::ofstream(statement) << "nothing\n";
  std::ofstream(head) << "{\"tenant_id\": \"tn-1\"}";
  const auto outcome = cloister({"usage", "verify", statement, "--key", std::string(64, 'a'), "--head", head});
  EXPECT_EQ(outcome.code, 1);
  EXPECT_EQ(outcome.err, "cloister: " + head + ": rows is missing\n");
}

TEST(LedgerCommand, HasHelpAndCompletion) {
  for (const char* verb : {"head", "verify", "anomalies"}) {
    const auto outcome = cloister({"ledger", verb, "--help"});
    EXPECT_NE(outcome.out.find(std::string("Examples:\n  cloister ledger ") + verb), std::string::npos) << outcome.out;
  }
  const auto script = cloister({"completion", "bash"}).out;
  for (const char* word : {"\"ledger verify\"", "\"usage gaps\"", "anomalies", "--head"})
    EXPECT_NE(script.find(word), std::string::npos) << word;
}

}  // namespace
}  // namespace cloister::cli
