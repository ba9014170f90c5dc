// A real cloisterd, under its own filter, with its ledger in a real PostgreSQL database.
#include <Poco/Thread.h>
#include <gtest/gtest.h>

#include "daemon_process.h"
#include "fake_node.h"
#include "http_client.h"
#include "tests/integration/metering/postgres_server.h"

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

}  // namespace
}  // namespace cloister::testing
