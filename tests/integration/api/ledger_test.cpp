// A real cloisterd, under its own filter, with its ledger in a real PostgreSQL database.
#include <Poco/Thread.h>
#include <gtest/gtest.h>

#include <chrono>
#include <thread>

#include "daemon_process.h"
#include "fake_node.h"
#include "http_client.h"
#include "tests/integration/metering/postgres_server.h"
#include "tests/integration/patience.h"

namespace cloister::testing {
namespace {

std::string batch(const std::string& tenant, int sequence) {
  return R"({"source": "one", "sequence": ")" + std::to_string(sequence) +
         R"(", "bootId": "b", "rows": [{"tenant": ")" + tenant +
         R"(", "meter": "cpu", "quantity": "1000", "from": "1700000000000000", "to": "1700000010000000"}]})";
}

TEST(LedgerOnPostgres, UsageOutlivesTheServerAndTheDaemon) {
  if (test::PostgresServer::binaries().empty()) GTEST_SKIP() << "no PostgreSQL server is installed";
  test::PostgresServer server;
  DaemonProcess daemon("ledger = \"" + server.location(server.createPlace()) + "\"");
  const HttpClient admin(daemon.port(), daemon.adminToken());
  const auto alice = makeTenant(admin, "alice");
  const auto tenant = admin.send("GET", "/v1/tenants/alice").text("id");
  const FakeNode node(daemon.nodeSocket(), daemon.nodeToken());
  const auto used = [&] {
    const auto reply = alice.send("GET", "/v1/usage?from=2023-11-01T00:00:00Z&meter=cpu");
    if (reply.status != 200) return std::to_string(reply.status);
    const auto items = reply.json()->getArray("items");
    return items->size() == 1 ? items->getObject(0)->getValue<std::string>("quantity") : "";
  };
  ASSERT_TRUE(node.desired(-1).has_value());
  EXPECT_EQ(node.send("POST", "/node/v1/usage", batch(tenant, 1)).status, 200) << daemon.log();
  EXPECT_EQ(used(), "1000");

  server.crash();
  const auto away = node.send("POST", "/node/v1/usage", batch(tenant, 2));
  EXPECT_EQ(away.status, 503) << away.body;
  EXPECT_EQ(away.text("code"), "ledger_unavailable");
  EXPECT_EQ(alice.send("GET", "/v1/usage").status, 503);
  EXPECT_EQ(admin.send("GET", "/v1/tenants/alice").status, 200) << "the rest goes on";
  EXPECT_NE(daemon.log().find("no connection to the database"), std::string::npos);

  server.start();
  for (const int sequence : {1, 2, 2}) {
    EXPECT_EQ(node.send("POST", "/node/v1/usage", batch(tenant, sequence)).status, 200) << sequence;
  }
  EXPECT_EQ(used(), "2000");
  daemon.kill();
  daemon.start();
  EXPECT_EQ(node.send("POST", "/node/v1/usage", batch(tenant, 2)).status, 200);
  EXPECT_EQ(used(), "2000");
}

std::size_t count(const std::string& text, const std::string& words) {
  std::size_t found = 0;
  for (auto at = text.find(words); at != std::string::npos; at = text.find(words, at + 1)) ++found;
  return found;
}

TEST(LedgerOnPostgres, TheDaemonStartsWithoutItAndEverythingElseIsServed) {
  if (test::PostgresServer::binaries().empty()) GTEST_SKIP() << "no PostgreSQL server is installed";
  test::PostgresServer server;
  const auto location = server.location(server.createPlace());
  server.crash();
  DaemonProcess daemon("ledger = \"" + location + "\"");
  const HttpClient admin(daemon.port(), daemon.adminToken());
  const auto alice = makeTenant(admin, "alice");
  const auto tenant = admin.send("GET", "/v1/tenants/alice").text("id");
  const FakeNode node(daemon.nodeSocket(), daemon.nodeToken());
  const auto page = [&] { return HttpClient(daemon.metricsPort(), "").send("GET", "/metrics"); };
  const auto hasTotal = [&](const std::string& text, const char* value) {
    return text.find("cloister_tenant_cpu_seconds_total{tenant=\"" + tenant + "\"} " + value + "\n") !=
           std::string::npos;
  };
  // A core-hour.
  const auto hour = [&](int sequence) {
    return R"({"source": "one", "sequence": ")" + std::to_string(sequence) +
           R"(", "bootId": "b", "rows": [{"tenant": ")" + tenant +
           R"(", "meter": "cpu", "quantity": "3600000000000", "from": "1700000000000000", "to": "1700000010000000"}]})";
  };
  const auto expectAway = [&] {
    EXPECT_EQ(alice.send("GET", "/v1/apps").status, 200);
    for (const auto* path : {"/v1/usage", "/v1/invoices", "/v1/periods/2023-11/invoice", "/v1/budget"}) {
      const auto answer = alice.send("GET", path);
      EXPECT_EQ(answer.status, 503) << path << answer.body;
      EXPECT_EQ(answer.text("code"), "ledger_unavailable") << path;
    }
    const auto refused = node.send("POST", "/node/v1/usage", hour(9));
    EXPECT_EQ(refused.status, 503) << refused.body;
    EXPECT_EQ(refused.text("code"), "ledger_unavailable");
    const auto metrics = page();
    EXPECT_EQ(metrics.status, 200);
    EXPECT_NE(metrics.body.find("cloister_operations{"), std::string::npos) << metrics.body;
    for (const auto* missing : {"cloister_tenant_cpu_seconds_total{", "cloister_metering_gap_seconds_total "}) {
      EXPECT_EQ(metrics.body.find(missing), std::string::npos) << "a zero would be a reset: " << missing;
    }
  };

  EXPECT_EQ(alice.send("POST", "/v1/apps", R"({"name": "shop"})").status, 201);
  EXPECT_EQ(alice.send("POST", "/v1/tokens", R"({"name": "ci"})").status, 201);
  EXPECT_TRUE(node.desired(-1).has_value());
  expectAway();
  Poco::Thread::sleep(2500);  // as often as the loop looks, and more
  EXPECT_EQ(count(daemon.log(), "the ledger is not open"), 1U) << daemon.log();

  server.start();
  // The loop's last attempt may have failed a moment ago: as a node does, again.
  for (int i = 0; i < 100 && node.send("POST", "/node/v1/usage", hour(1)).status != 200; ++i) Poco::Thread::sleep(100);
  for (const int sequence : {1, 2, 2}) {
    EXPECT_EQ(node.send("POST", "/node/v1/usage", hour(sequence)).status, 200) << sequence;
  }
  EXPECT_TRUE(hasTotal(page().body, "7200")) << page().body;
  EXPECT_EQ(admin
                .send("POST", "/v1/prices",
                      R"({"name": "2020", "currency": "EUR", "from": "2020-01-01T00:00:00Z",
                           "items": [{"sku": "cpu", "meter": "cpu", "unit": "core-hour", "tiers": [{"price": "7"}]}]})")
                .status,
            201);
  const auto bill = alice.send("GET", "/v1/periods/2023-11/invoice");
  EXPECT_EQ(bill.text("total"), "14") << bill.body;
  for (int i = 0; i < 100 && count(daemon.log(), "the ledger answers again") == 0; ++i) Poco::Thread::sleep(100);
  EXPECT_EQ(count(daemon.log(), "the ledger answers again"), 1U) << daemon.log();

  // A restart without the server again: the totals are missing, and come back by themselves.
  daemon.kill();
  server.crash();
  daemon.start();
  expectAway();
  server.start();
  for (int i = 0; i < 100 && !hasTotal(page().body, "7200"); ++i) Poco::Thread::sleep(100);
  EXPECT_TRUE(hasTotal(page().body, "7200")) << page().body;
}

TEST(LedgerOnPostgres, AServerThatHangsHoldsUpNobodyElseAndACreditIsGivenOnce) {
  if (test::PostgresServer::binaries().empty()) GTEST_SKIP() << "no PostgreSQL server is installed";
  test::PostgresServer server;
  DaemonProcess daemon("ledger = \"" + server.location(server.createPlace()) + "\"");
  const HttpClient admin(daemon.port(), daemon.adminToken());
  const auto alice = makeTenant(admin, "alice");
  const auto credit = [&] {
    return admin.send("POST", "/v1/credits?tenant=alice", R"({"amount": "5", "text": "outage"})",
                      {{"Idempotency-Key", "c1"}});
  };

  server.pause();
  int status = 0;
  std::thread slow([&] { status = credit().status; });
  Poco::Thread::sleep(500);
  const auto before = std::chrono::steady_clock::now();
  EXPECT_EQ(alice.send("POST", "/v1/apps", R"({"name": "shop"})").status, 201);
  EXPECT_EQ(admin.send("GET", "/v1/plans").status, 200);
  EXPECT_LT(std::chrono::steady_clock::now() - before, std::chrono::seconds(test::patient(3)));
  slow.join();
  EXPECT_EQ(status, 503);
  server.resume();

  auto given = credit();
  for (int i = 0; i < 100 && given.status != 201; ++i) {
    Poco::Thread::sleep(100);
    given = credit();
  }
  ASSERT_EQ(given.status, 201) << given.body;
  EXPECT_EQ(credit().text("id"), given.text("id"));
  daemon.kill();
  daemon.start();
  EXPECT_EQ(credit().text("id"), given.text("id"));
  EXPECT_EQ(alice.send("GET", "/v1/credits").json()->getArray("items")->size(), 1U);
}

}  // namespace
}  // namespace cloister::testing
