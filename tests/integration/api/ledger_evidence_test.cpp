// What the ledger shows of itself through the real API: signed heads, verification, refused batches, gaps.
#include <Poco/JSON/Array.h>
#include <gtest/gtest.h>

#include <chrono>

#include <sstream>

#include "daemon_process.h"
#include "fake_node.h"
#include "http_client.h"
#include "metering/base/batch_json.h"
#include "metering/base/calendar.h"
#include "metering/export/verify.h"

namespace cloister::testing {
namespace {

using metering::Meter;

constexpr const char* kSince = "from=2020-01-01T00:00:00Z";
constexpr const char* kPrices =
    R"({"name": "2026", "currency": "EUR", "from": "2020-01-01T00:00:00Z", "plans": [{"plan": "small", "fee": "0"}],
        "items": [{"sku": "cpu", "meter": "cpu", "unit": "core-second", "tiers": [{"price": "0.5"}]}]})";

struct LedgerEvidence : ::testing::Test {
  DaemonProcess daemon;
  HttpClient admin{daemon.port(), daemon.adminToken()};
  HttpClient alice = makeTenant(admin, "alice");
  HttpClient bob = makeTenant(admin, "bob");
  FakeNode node{daemon.nodeSocket(), daemon.nodeToken()};
  const metering::Period month = metering::monthOf(metering::parseUtc("2025-11-01T00:00:00Z").value());

  void SetUp() override { ASSERT_TRUE(node.desired(-1).has_value()); }
  std::string idOf(const std::string& name) const { return admin.send("GET", "/v1/tenants/" + name).text("id"); }
  int send(std::uint64_t sequence, const std::string& tenant, Meter meter, std::uint64_t quantity,
           const std::string& note = "") {
    const auto from = month.from + static_cast<std::int64_t>(sequence) * metering::kHour;
    const metering::UsageBatch batch{
        "one", sequence, "boot", {{idOf(tenant), "", "", meter, quantity, from, from + metering::kSecond, note}}};
    return node.send("POST", "/node/v1/usage", metering::toJson(batch)).status;
  }
};

TEST_F(LedgerEvidence, AHeadThatWasKeptIsPassedByTheStatement) {
  ASSERT_EQ(admin.send("POST", "/v1/prices", kPrices).status, 201);
  for (std::uint64_t i = 1; i <= 3; ++i) ASSERT_EQ(send(i, "alice", Meter::cpu, i * 1'000'000'000), 200);
  const auto head = alice.send("GET", "/v1/ledger/head");
  ASSERT_EQ(head.status, 200) << head.body;
  EXPECT_EQ(head.text("tenant"), "alice");
  EXPECT_EQ(admin.send("GET", "/v1/ledger/head?tenant=alice").body, head.body);
  EXPECT_EQ(admin.send("GET", "/v1/ledger/head").text("code"), "tenant_required");
  EXPECT_EQ(alice.send("GET", "/v1/ledger/head?tenant=bob").status, 403);
  const auto kept = metering::headFromJson(head.body);
  ASSERT_TRUE(kept) << kept.error().message();
  const auto key = alice.send("GET", "/v1/signing-key").text("public_key");
  EXPECT_EQ(head.text("public_key"), key);
  EXPECT_TRUE(isSignedBy(key, *kept));

  ASSERT_EQ(send(4, "alice", Meter::cpu, 1), 200);
  EXPECT_NE(alice.send("GET", "/v1/ledger/head").text("hash"), head.text("hash"));
  const auto statement = alice.send("GET", "/v1/periods/2025-11/invoice?format=statement").body;
  const auto check = [&](const metering::PublishedHead& which) {
    std::istringstream text(statement);
    return metering::verifyStatement([&](std::string& line) { return static_cast<bool>(std::getline(text, line)); },
                                     key, {}, which)
        .finding;
  };
  EXPECT_EQ(check(*kept), "");
  auto forged = *kept;
  forged.hash.front() = forged.hash.front() == '0' ? '1' : '0';
  EXPECT_NE(check(forged), "");
}

TEST_F(LedgerEvidence, AProviderSeesAllHeadsAndVerifiesThem) {
  ASSERT_EQ(send(1, "alice", Meter::cpu, 5), 200);
  ASSERT_EQ(send(2, "bob", Meter::cpu, 5), 200);
  std::string tenants;
  std::string cursor;
  do {
    const auto page = admin.send("GET", "/v1/ledger/heads?limit=1" + (cursor.empty() ? "" : "&cursor=" + cursor));
    ASSERT_EQ(page.status, 200) << page.body;
    const auto items = page.json()->getArray("items");
    for (unsigned i = 0; i < items->size(); ++i) tenants += items->getObject(i)->getValue<std::string>("tenant") + ' ';
    cursor = page.text("next");
  } while (!cursor.empty());
  EXPECT_NE(tenants.find("alice "), std::string::npos) << tenants;
  EXPECT_NE(tenants.find("bob "), std::string::npos) << tenants;
  EXPECT_EQ(admin.send("GET", "/v1/ledger/heads?cursor=YzE6eA").text("field"), "cursor");

  const auto all = admin.send("GET", "/v1/ledger/verification");
  EXPECT_EQ(all.status, 200);
  EXPECT_NE(all.body.find("event: chain\ndata: {"), std::string::npos) << all.body;
  EXPECT_NE(all.body.find("\"broken\":0"), std::string::npos) << all.body;
  EXPECT_EQ(all.body.find("\"whole\":false"), std::string::npos) << all.body;
  const auto one = admin.send("GET", "/v1/ledger/verification?tenant=bob");
  EXPECT_NE(one.body.find("\"chains\":1"), std::string::npos) << one.body;
  EXPECT_EQ(one.body.find("alice"), std::string::npos) << one.body;
  EXPECT_EQ(admin.send("GET", "/v1/ledger/verification?tenant=nobody").status, 404);
  for (const char* path : {"/v1/ledger/heads", "/v1/ledger/verification", "/v1/ledger/anomalies"})
    EXPECT_EQ(alice.send("GET", path).status, 403) << path;
}

TEST_F(LedgerEvidence, RefusedBatchesAreListedWithBothDigests) {
  ASSERT_EQ(send(1, "alice", Meter::cpu, 5), 200);
  ASSERT_EQ(send(1, "alice", Meter::cpu, 6), 409);
  ASSERT_EQ(send(1, "alice", Meter::cpu, 7), 409);
  const auto page = admin.send("GET", "/v1/ledger/anomalies?limit=1");
  ASSERT_EQ(page.status, 200) << page.body;
  const auto newest = page.json()->getArray("items")->getObject(0);
  EXPECT_EQ(newest->getValue<std::string>("node"), "one");
  EXPECT_EQ(newest->getValue<int>("sequence"), 1);
  const auto rest = admin.send("GET", "/v1/ledger/anomalies?cursor=" + page.text("next")).json()->getArray("items");
  ASSERT_EQ(rest->size(), 1U);
  const auto older = rest->getObject(0);
  EXPECT_EQ(older->getValue<std::string>("recorded_digest"), newest->getValue<std::string>("recorded_digest"));
  EXPECT_NE(older->getValue<std::string>("refused_digest"), newest->getValue<std::string>("refused_digest"));
}

TEST_F(LedgerEvidence, WhatCannotHaveBeenMeasuredIsAnAnomalyAndNoRow) {
  const auto now =
      std::chrono::duration_cast<std::chrono::microseconds>(std::chrono::system_clock::now().time_since_epoch())
          .count();
  const auto row = [&](const std::string& tenant, std::uint64_t cpu, std::int64_t to) {
    return metering::UsageRow{tenant, "", "", Meter::cpu, cpu, to - metering::kSecond, to, ""};
  };
  const auto post = [&](std::uint64_t sequence, const metering::UsageRow& one, const std::string& source = "one") {
    return node.send("POST", "/node/v1/usage", metering::toJson({source, sequence, "boot", {one}}));
  };
  const auto alicesId = idOf("alice");
  // More than 1,024 cores can do in a second; nobody's; another host's.
  EXPECT_EQ(post(1, row(alicesId, 2'000'000'000'000, now)).text("acknowledged"), "1");
  EXPECT_EQ(post(2, row("tn-nobody", 5, now)).status, 200);
  EXPECT_EQ(post(3, row(metering::hostChain("two"), 5, now)).status, 200);
  // Of a clock that is ahead: it may be sent again when its time has come.
  const auto ahead = post(4, row(alicesId, 5, now + 3600 * metering::kSecond));
  EXPECT_EQ(ahead.status, 422);
  EXPECT_EQ(ahead.text("code"), "usage_implausible");
  EXPECT_EQ(post(4, row(alicesId, 5, now + 3600 * metering::kSecond)).status, 422);
  EXPECT_EQ(post(5, row(alicesId, 5, now)).status, 200);
  const auto anomalies = admin.send("GET", "/v1/ledger/anomalies");
  const auto items = anomalies.json()->getArray("items");
  ASSERT_EQ(items->size(), 4U) << anomalies.body;
  EXPECT_NE(anomalies.body.find("1024 cores"), std::string::npos) << anomalies.body;
  EXPECT_EQ(items->getObject(3)->getValue<std::string>("recorded_digest"), "");
  const auto used = alice.send("GET", std::string("/v1/usage?") + kSince).json()->getArray("items");
  ASSERT_EQ(used->size(), 1U);
  EXPECT_EQ(used->getObject(0)->getValue<std::string>("quantity"), "5");
  EXPECT_NE(admin.send("GET", "/v1/events").body.find("node.usage_refused"), std::string::npos);
}

TEST_F(LedgerEvidence, UsageIsToldByInstance) {
  const auto id = idOf("alice");
  metering::UsageBatch batch{"one", 1, "boot", {}};
  for (const auto& [instance, cpu] : {std::pair{"in-1", 3U}, {"in-2", 4U}, {"in-1", 5U}}) {
    batch.rows.push_back({id, "ap-1", instance, Meter::cpu, cpu, month.from, month.from + metering::kSecond, ""});
  }
  ASSERT_EQ(node.send("POST", "/node/v1/usage", metering::toJson(batch)).status, 200);
  const std::string usage = std::string("/v1/usage?") + kSince;
  const auto byInstance = alice.send("GET", usage + "&by=instance").json()->getArray("items");
  ASSERT_EQ(byInstance->size(), 2U);
  EXPECT_EQ(byInstance->getObject(0)->getValue<std::string>("instance"), "in-1");
  EXPECT_EQ(byInstance->getObject(0)->getValue<std::string>("quantity"), "8");
  const auto only = alice.send("GET", usage + "&instance=in-2").json()->getArray("items");
  ASSERT_EQ(only->size(), 1U);
  EXPECT_EQ(only->getObject(0)->getValue<std::string>("quantity"), "4");
  EXPECT_FALSE(only->getObject(0)->has("instance"));
  EXPECT_EQ(alice.send("GET", usage + "&instance=in-9").json()->getArray("items")->size(), 0U);
  EXPECT_EQ(bob.send("GET", usage + "&instance=in-1").json()->getArray("items")->size(), 0U);
  EXPECT_EQ(alice.send("GET", usage + "&by=moon").text("field"), "by");
}

TEST_F(LedgerEvidence, GapsHaveTheirWindowAndReason) {
  ASSERT_EQ(send(1, "alice", Meter::gap, 1500, metering::gap::kCounterReset), 200);
  ASSERT_EQ(send(2, "bob", Meter::gap, 2500, metering::gap::kVanished), 200);
  const auto own = alice.send("GET", std::string("/v1/usage/gaps?") + kSince);
  ASSERT_EQ(own.status, 200) << own.body;
  const auto items = own.json()->getArray("items");
  ASSERT_EQ(items->size(), 1U) << own.body;
  const auto gap = items->getObject(0);
  EXPECT_EQ(gap->getValue<std::string>("tenant"), "alice");
  EXPECT_EQ(gap->getValue<std::string>("reason"), metering::gap::kCounterReset);
  EXPECT_EQ(gap->getValue<int>("milliseconds"), 1500);
  EXPECT_EQ(gap->getValue<std::string>("from").substr(0, 19), "2025-11-01T01:00:00");
  EXPECT_EQ(gap->getValue<std::string>("node"), "one");
  const auto first = admin.send("GET", std::string("/v1/usage/gaps?limit=1&") + kSince);
  const auto rest = admin.send("GET", std::string("/v1/usage/gaps?") + kSince + "&cursor=" + first.text("next"));
  EXPECT_NE(first.body.find("alice"), std::string::npos) << first.body;
  EXPECT_NE(rest.body.find("bob"), std::string::npos) << rest.body;
  EXPECT_EQ(rest.body.find("alice"), std::string::npos) << rest.body;
  EXPECT_EQ(bob.send("GET", "/v1/usage/gaps").json()->getArray("items")->size(), 0U) << "this month has none";
  EXPECT_EQ(alice.send("GET", "/v1/usage/gaps?from=2026-02-01T00:00:00Z&to=2026-01-01T00:00:00Z").text("field"),
            "from");
  EXPECT_EQ(alice.send("GET", "/v1/usage/gaps?tenant=bob").status, 403);
}

}  // namespace
}  // namespace cloister::testing
