// From a node's batches to an invoice that its tenant has checked, through the real API, with kill -9 between.
#include <Poco/JSON/Array.h>
#include <gtest/gtest.h>

#include <chrono>
#include <sstream>
#include <thread>
#include <tuple>

#include "daemon_process.h"
#include "fake_node.h"
#include "http_client.h"
#include "metering/base/batch_json.h"
#include "metering/base/calendar.h"
#include "metering/base/seal.h"
#include "metering/export/focus_check.h"
#include "metering/export/verify.h"

namespace cloister::testing {
namespace {

using metering::Meter;

constexpr std::uint64_t kCoreHour = 3'600'000'000'000;
constexpr const char* kPrices =
    R"({"name": "2026", "currency": "EUR", "from": "2020-01-01T00:00:00Z", "minimum": "0",
        "items": [{"sku": "cpu", "meter": "cpu", "unit": "core-hour", "included": 1,
                   "tiers": [{"up_to": 2, "price": "0.5"}, {"price": "0.123456789"}]}],
        "plans": [{"plan": "small", "fee": "9"}], "taxes": [{"name": "VAT", "percent": "19"}]})";

metering::Period lastMonth() {
  const auto now =
      std::chrono::duration_cast<std::chrono::microseconds>(std::chrono::system_clock::now().time_since_epoch())
          .count();
  return metering::monthOf(metering::monthOf(now).from - 1);
}

struct Billing : ::testing::Test {
  DaemonProcess daemon{"provider = \"Hoster\"\nmax_node_cores = 1000000\n"};
  HttpClient admin{daemon.port(), daemon.adminToken()};
  HttpClient alice = makeTenant(admin, "alice");
  HttpClient bob = makeTenant(admin, "bob");
  FakeNode node{daemon.nodeSocket(), daemon.nodeToken()};
  metering::Period month = lastMonth();
  std::string period = metering::monthText(month);
  std::uint64_t sequence = 0;

  void SetUp() override {
    ASSERT_EQ(admin.send("POST", "/v1/prices", kPrices).status, 201);
    ASSERT_TRUE(node.desired(-1).has_value());
  }
  void use(const HttpClient& tenant, std::int64_t from, std::uint64_t cpu) {
    const auto id = admin.send("GET", "/v1/tenants/" + tenant.send("GET", "/v1/whoami").text("tenant")).text("id");
    const metering::UsageBatch batch{
        "one", ++sequence, "boot", {{id, "", "", Meter::cpu, cpu, from, from + 10 * metering::kSecond, ""}}};
    ASSERT_LT(node.send("POST", "/node/v1/usage", metering::toJson(batch)).status, 300);
  }
  std::string invoiceOf(const HttpClient& tenant) const {
    const auto items = tenant.send("GET", "/v1/invoices").json()->getArray("items");
    return items->size() == 0 ? "" : items->getObject(0)->getValue<std::string>("id");
  }
  static metering::StatementReport verify(const std::string& file, const std::string& key,
                                          const std::vector<std::string>& nodeKeys = {}) {
    std::istringstream text(file);
    return metering::verifyStatement([&](std::string& line) { return static_cast<bool>(std::getline(text, line)); },
                                     key, nodeKeys);
  }
  // What the host "one" sends of an hour: rows, and its seal over them.
  metering::UsageBatch hourOf(const std::string& tenantId, const metering::SigningKey& key, std::int64_t from) {
    metering::UsageBatch batch{"one", ++sequence, "boot", {}};
    metering::Sha256 sha;
    metering::Segment segment;
    for (int i = 0; i < 6; ++i) {
      const auto at = from + i * 10 * metering::kSecond;
      batch.rows.push_back({tenantId, "", "", Meter::cpu, kCoreHour, at, at + 10 * metering::kSecond, ""});
      metering::cover(sha, segment, batch.rows.back());
    }
    batch.rows.push_back(metering::sealRow(key, "one", tenantId, segment));
    return batch;
  }
  void announce(const metering::SigningKey& key) {
    model::NodeStatus status;
    status.nodeId = "one";
    status.signingKey = key.publicKey();
    ASSERT_LT(node.send("POST", "/node/v1/status", model::toJson(status)).status, 300);
  }
};

TEST_F(Billing, AMonthIsClosedOnceAndItsTenantCanCheckIt) {
  for (int i = 0; i < 20; ++i) use(alice, month.from + i * metering::kHour, kCoreHour / 3);
  use(bob, month.from, kCoreHour);
  const auto closing = admin.send("POST", "/v1/periods/" + period + "/close");
  ASSERT_EQ(closing.status, 200) << closing.body;
  EXPECT_EQ(closing.text("closed"), "2") << closing.body;
  daemon.kill();
  daemon.start();
  EXPECT_EQ(admin.send("POST", "/v1/periods/" + period + "/close").text("present"), "2");

  const auto id = invoiceOf(alice);
  const auto invoice = alice.send("GET", "/v1/invoices/" + id);
  EXPECT_EQ(invoice.text("state"), "closed") << invoice.body;
  // 1 of 6 2/3 core-hours included, 2 at 0.5, 3 2/3 at 0.123456789, and 19 %; no fee, for alice is younger than the
  // month.
  EXPECT_EQ(invoice.text("total"), "1.73") << invoice.body;
  EXPECT_EQ(bob.send("GET", "/v1/invoices/" + id).status, 404);
  EXPECT_EQ(alice.send("GET", "/v1/periods/" + period + "/invoice").body, invoice.body);

  const auto key = HttpClient(daemon.port(), "").send("GET", "/v1/signing-key").text("public_key");
  const auto statement = alice.send("GET", "/v1/invoices/" + id + "?format=statement");
  auto report = verify(statement.body, key);
  EXPECT_TRUE(report.holds()) << report.finding;
  EXPECT_EQ(report.rows, 20U);
  auto forged = statement.body;
  forged[forged.size() / 2] ^= 1;
  EXPECT_FALSE(verify(forged, key).holds());

  for (const auto& [query, version] :
       {std::pair{"", "1.2"}, {"&focus_version=1.2", "1.2"}, {"&focus_version=1.3", "1.3"}}) {
    const auto file = alice.send("GET", "/v1/invoices/" + id + "?format=focus" + query).body;
    const auto focus = metering::checkFocus(file, *metering::parseFocusVersion(version));
    EXPECT_TRUE(focus.conforms()) << query << focus.findings.front();
    EXPECT_EQ(focus.billed.at(id), metering::parseMoney(invoice.text("total")));
    EXPECT_EQ(alice.send("GET", "/v1/periods/" + period + "/invoice?format=focus" + query).body, file);
  }
  EXPECT_NE(alice.send("GET", "/v1/invoices/" + id + "?format=html").body.find("Hoster"), std::string::npos);
  EXPECT_NE(alice.send("GET", "/v1/invoices/" + id + "?format=csv").body.find("Total"), std::string::npos);
  EXPECT_NE(alice.send("GET", "/v1/invoices/" + id + "?format=events").body.find("cloister.usage.hour.v1"),
            std::string::npos);
  EXPECT_EQ(alice.send("GET", "/v1/invoices/" + id + "?format=pdf").status, 400);
}

TEST_F(Billing, LateUsageIsInTheEventsOfTheNextInvoice) {
  use(alice, month.from, kCoreHour);
  ASSERT_EQ(admin.send("POST", "/v1/periods/" + period + "/close").status, 200);
  const auto hour = "/cpu/" + metering::utcText(month.from) + '/';
  const auto closed = alice.send("GET", "/v1/periods/" + period + "/invoice?format=events").body;
  EXPECT_NE(closed.find(hour), std::string::npos) << closed;
  const auto next = "/v1/periods/" + metering::monthText(metering::monthOf(month.to)) + "/invoice?format=events";
  EXPECT_EQ(alice.send("GET", next).body.find(hour), std::string::npos);
  use(alice, month.from, kCoreHour);
  const auto late = alice.send("GET", next).body;
  EXPECT_NE(late.find(hour), std::string::npos) << late;
  EXPECT_NE(late.find(metering::decimal(2 * kCoreHour)), std::string::npos) << late;
  EXPECT_EQ(alice.send("GET", "/v1/periods/" + period + "/invoice?format=events").body, closed);
}

TEST_F(Billing, AHostsSealsHoldFromItsReadingsToTheInvoice) {
  const auto first = metering::SigningKey::fromSeed(std::string(32, '1')).value();
  const auto second = metering::SigningKey::fromSeed(std::string(32, '2')).value();
  const auto stranger = metering::SigningKey::fromSeed(std::string(32, '3')).value();
  const auto id = admin.send("GET", "/v1/tenants/alice").text("id");
  announce(first);
  const auto send = [&](const metering::SigningKey& key, int hour) {
    const auto batch = hourOf(id, key, month.from + hour * metering::kHour);
    EXPECT_EQ(node.send("POST", "/node/v1/usage", metering::toJson(batch)).status, 200);
  };
  send(first, 0);
  daemon.kill();
  daemon.start();
  announce(second);  // it lost the first one
  send(second, 1);
  EXPECT_EQ(admin.send("GET", "/v1/events").body.find("node.bad_seal"), std::string::npos);
  send(stranger, 2);  // recorded all the same
  EXPECT_NE(admin.send("GET", "/v1/events").body.find("node.bad_seal"), std::string::npos);

  EXPECT_NE(admin.send("GET", "/v1/nodes/one").body.find(first.publicKey()), std::string::npos);
  EXPECT_NE(admin.send("GET", "/v1/nodes").body.find(second.publicKey()), std::string::npos);
  const auto keys = alice.send("GET", "/v1/node-keys").json()->getArray("items");
  ASSERT_EQ(keys->size(), 2U);
  EXPECT_EQ(keys->getObject(0)->getValue<std::string>("node"), "one");
  EXPECT_EQ(keys->getObject(1)->getValue<std::string>("key_id"), metering::keyIdOf(second.publicKey()));
  EXPECT_EQ(HttpClient(daemon.port(), "").send("GET", "/v1/node-keys").status, 401);
  EXPECT_EQ(alice.send("GET", "/v1/usage").body.find("\"seal\""), std::string::npos);
  EXPECT_NE(alice.send("GET", "/v1/usage?meter=seal&from=2020-01-01T00:00:00Z").body.find("\"seal\""),
            std::string::npos);

  ASSERT_EQ(admin.send("POST", "/v1/periods/" + period + "/close").status, 200);
  const auto statement = alice.send("GET", "/v1/invoices/" + invoiceOf(alice) + "?format=statement").body;
  const auto key = alice.send("GET", "/v1/signing-key").text("public_key");
  auto report = verify(statement, key);
  EXPECT_EQ(report.finding, "");
  EXPECT_EQ(report.seals.sealed, 12U);
  EXPECT_EQ(report.seals.untrusted, 1U);
  EXPECT_EQ(report.seals.bare + report.seals.open, 6U);
  report = verify(statement, key, {second.publicKey()});
  EXPECT_EQ(report.finding, "");
  EXPECT_EQ(report.seals.sealed, 6U);
}

TEST_F(Billing, ThePlansFeeFollowsFromTheLedger) {
  const auto now = metering::monthText(metering::monthOf(month.to));
  Reply draft;
  for (int i = 0; i < 100 && draft.body.find("plan-small") == std::string::npos; ++i) {
    draft = alice.send("GET", "/v1/periods/" + now + "/invoice");
    std::this_thread::sleep_for(std::chrono::milliseconds(100));
  }
  EXPECT_NE(draft.body.find("plan-small"), std::string::npos) << draft.body;
  EXPECT_EQ(draft.text("state"), "draft");
  const auto key = alice.send("GET", "/v1/signing-key").text("public_key");
  const auto report = verify(alice.send("GET", "/v1/periods/" + now + "/invoice?format=statement").body, key);
  EXPECT_TRUE(report.holds()) << report.finding;
}

TEST_F(Billing, OnlyProvidersMakePricesCreditsAndInvoices) {
  EXPECT_EQ(alice.send("POST", "/v1/prices", kPrices).status, 403);
  EXPECT_EQ(alice.send("POST", "/v1/periods/" + period + "/close").status, 403);
  EXPECT_EQ(alice.send("POST", "/v1/credits", R"({"amount": "5", "text": "x"})").status, 403);
  EXPECT_EQ(admin.send("POST", "/v1/credits?tenant=alice", R"({"amount": "5", "text": "outage"})").status, 201);
  EXPECT_NE(alice.send("GET", "/v1/credits").body.find("outage"), std::string::npos);
  EXPECT_EQ(bob.send("GET", "/v1/credits").body.find("outage"), std::string::npos);
}

TEST_F(Billing, APriceListIsCheckedWithoutBeingAddedAndShownAfter) {
  const std::string next = R"({"name": "2040", "currency": "EUR", "from": "2040-01-01T00:00:00Z"})";
  EXPECT_EQ(alice.send("POST", "/v1/prices/check", next).status, 403);
  EXPECT_EQ(admin.send("POST", "/v1/prices/check", next).text("name"), "2040");
  EXPECT_EQ(admin.send("POST", "/v1/prices/check", next).json()->getArray("warnings")->size(), 0U);
  const auto twice = admin.send("POST", "/v1/prices/check",
                                R"({"name": "twice", "currency": "EUR", "from": "2040-01-01T00:00:00Z", "items": [
        {"sku": "a", "meter": "memory", "unit": "gib-hour", "tiers": [{"price": "1"}]},
        {"sku": "b", "meter": "memory_allocated", "unit": "gib-hour", "tiers": [{"price": "1"}]}]})");
  EXPECT_EQ(twice.json()->getArray("warnings")->getElement<std::string>(0),
            "memory and memory_allocated both have a price: what is used is part of what is allocated");
  EXPECT_EQ(admin.send("GET", "/v1/prices/2040").status, 404);
  EXPECT_EQ(admin.send("POST", "/v1/prices/check", kPrices).text("code"), "price_list_conflict");
  const auto unknown = admin.send(
      "POST", "/v1/prices/check",
      R"({"name": "x", "currency": "EUR", "from": "2040-01-01T00:00:00Z", "plans": [{"plan": "huge", "fee": "1"}]})");
  EXPECT_EQ(unknown.text("code"), "plan_unknown") << unknown.body;
  EXPECT_EQ(admin.send("POST", "/v1/prices", next).status, 201);
  EXPECT_EQ(alice.send("GET", "/v1/prices/2040").text("from"), "2040-01-01T00:00:00Z");
  EXPECT_EQ(alice.send("GET", "/v1/prices/2026").text("to"), "2040-01-01T00:00:00Z") << "it ends where the next begins";
}

TEST_F(Billing, ACreditIsRevokedUntilAnInvoiceHasIt) {
  const auto give = [&](const char* text) {
    return admin.send("POST", "/v1/credits?tenant=alice", R"({"amount": "0.1", "text": ")" + std::string(text) + "\"}")
        .text("id");
  };
  const auto wrong = give("typed wrongly");
  const auto good = give("outage");
  EXPECT_EQ(alice.send("DELETE", "/v1/credits/" + wrong).status, 403);
  EXPECT_EQ(admin.send("DELETE", "/v1/credits/" + wrong).status, 204);
  EXPECT_EQ(admin.send("DELETE", "/v1/credits/cr-nobody").status, 404);
  const auto listed = alice.send("GET", "/v1/credits");
  EXPECT_EQ(listed.json()->getArray("items")->size(), 2U);
  EXPECT_NE(listed.body.find("revoked_at"), std::string::npos) << listed.body;
  for (int i = 0; i < 6; ++i) use(alice, month.from + i * metering::kHour, kCoreHour);
  ASSERT_EQ(admin.send("POST", "/v1/periods/" + period + "/close").status, 200);
  const auto refused = admin.send("DELETE", "/v1/credits/" + good);
  EXPECT_EQ(refused.status, 409) << refused.body;
  EXPECT_EQ(refused.text("code"), "credit_used");
  EXPECT_NE(refused.text("detail").find(invoiceOf(alice)), std::string::npos) << refused.body;
}

struct BadWrite {
  const char* method;
  const char* path;
  const char* body;
  int status;
  const char* field;
};

TEST_F(Billing, MonthsCloseInOrderAndTheirPricesStay) {
  const auto before = metering::monthOf(month.from - 1);
  use(alice, before.from, 3 * kCoreHour);
  use(alice, month.from, 3 * kCoreHour);
  const auto early = admin.send("POST", "/v1/periods/" + period + "/close");
  EXPECT_EQ(early.status, 422) << early.body;
  EXPECT_EQ(early.text("code"), "period_order");
  EXPECT_EQ(early.text("field"), "period");
  EXPECT_NE(early.text("detail").find(metering::monthText(before)), std::string::npos) << early.body;
  for (const auto& one : {before, month})
    EXPECT_EQ(admin.send("POST", "/v1/periods/" + metering::monthText(one) + "/close").text("closed"), "1");
  const auto list = [](std::int64_t from) {
    return R"({"name": "next", "currency": "EUR", "from": ")" + metering::utcText(from) + "\"}";
  };
  for (const char* path : {"/v1/prices/check", "/v1/prices"}) {
    const auto refused = admin.send("POST", path, list(month.from + metering::kHour));
    EXPECT_EQ(refused.status, 422) << path << ' ' << refused.body;
    EXPECT_EQ(refused.text("field"), "from") << refused.body;
  }
  EXPECT_EQ(admin.send("POST", "/v1/prices", list(month.to)).status, 201);
}

TEST_F(Billing, BadInputNamesTheField) {
  const std::string overlapping = R"({"name": "b", "currency": "EUR", "from": "2019-01-01T00:00:00Z"})";
  for (const BadWrite& bad :
       {BadWrite{"POST", "/v1/prices", "{}", 400, "name"},
        BadWrite{"POST", "/v1/prices", R"({"name": "x", "currency": "eur"})", 400, "currency"},
        BadWrite{"POST", "/v1/prices", overlapping.c_str(), 422, "from"},
        BadWrite{"POST", "/v1/prices", kPrices, 422, "name"},
        BadWrite{"POST", "/v1/periods/2026-13/close", "", 400, "period"},
        BadWrite{"POST", "/v1/periods/2999-01/close", "", 422, "period"},
        BadWrite{"PUT", "/v1/budget?tenant=alice", R"({"amount": "-5"})", 400, "amount"},
        BadWrite{"PUT", "/v1/budget?tenant=alice", R"({"amount": "5", "cap": "firm"})", 400, "cap"},
        BadWrite{"POST", "/v1/credits?tenant=alice", R"({"amount": "0", "text": "x"})", 400, "amount"}}) {
    const auto answer = admin.send(bad.method, bad.path, bad.body);
    EXPECT_EQ(answer.status, bad.status) << bad.path << ' ' << bad.body << ' ' << answer.body;
    EXPECT_EQ(answer.text("field"), bad.field) << answer.body;
  }
}

TEST_F(Billing, AnAmountThatIsRefusedIsToldWhatIsWrongWithIt) {
  const std::pair<const char*, const char*> cases[] = {{"50.1234567", "six digits behind the point at most"},
                                                       {"50,00", "has a comma"},
                                                       {"1,000.50", "has a comma"},
                                                       {"9223372036854.775808", "may be 9223372036854.775807 at most"},
                                                       {"99999999999999999999999", "9223372036854.775807 at most"},
                                                       {"0", "must be above zero"},
                                                       {"0.000000", "must be above zero"},
                                                       {"-5", "must be above zero"},
                                                       {"", "such as \"50.25\""},
                                                       {"1e3", "such as \"50.25\""},
                                                       {"5.", "such as \"50.25\""},
                                                       {".5", "such as \"50.25\""},
                                                       {"EUR 5", "such as \"50.25\""}};
  for (const auto& [amount, reason] : cases) {
    for (const auto& answer :
         {admin.send("POST", "/v1/credits?tenant=alice", R"({"text": "x", "amount": ")" + std::string(amount) + "\"}"),
          admin.send("PUT", "/v1/budget?tenant=alice", R"({"amount": ")" + std::string(amount) + "\"}")}) {
      EXPECT_EQ(answer.status, 400) << amount;
      EXPECT_EQ(answer.text("field"), "amount") << amount;
      EXPECT_NE(answer.text("detail").find(reason), std::string::npos) << amount << ": " << answer.text("detail");
    }
  }
  EXPECT_EQ(admin.send("POST", "/v1/credits?tenant=alice", R"({"text": "x", "amount": "9223372036854.775807"})").status,
            201);
}

TEST_F(Billing, AProviderAndATenantEachHaveABudgetThatOnlyTheyCanChange) {
  const auto budgetsOf = [](const HttpClient& who, const std::string& query = "") {
    std::string all;
    const auto items = who.send("GET", "/v1/budget" + query).json()->getArray("items");
    for (const auto& item : *items) {
      const auto one = item.extract<Poco::JSON::Object::Ptr>();
      all += one->getValue<std::string>("set_by") + ' ' + one->getValue<std::string>("amount") + ' ' +
             one->getValue<std::string>("cap") + ", spent " + one->optValue<std::string>("spent", "?") + "; ";
    }
    return all;
  };
  EXPECT_EQ(budgetsOf(alice), "");
  EXPECT_EQ(alice.send("DELETE", "/v1/budget").status, 404);
  const auto set = admin.send("PUT", "/v1/budget?tenant=alice", R"({"amount": "50", "cap": "hard"})");
  EXPECT_EQ(set.text("set_by"), "provider") << set.body;
  EXPECT_EQ(alice.send("DELETE", "/v1/budget").status, 404) << "the provider's is not the tenant's to take away";
  EXPECT_EQ(alice.send("PUT", "/v1/budget", R"({"amount": "12.5"})").text("set_by"), "tenant");
  for (const auto& seen : {budgetsOf(alice), budgetsOf(admin, "?tenant=alice")})
    EXPECT_EQ(seen, "provider 50 hard, spent 0; tenant 12.5 soft, spent 0; ");
  EXPECT_EQ(budgetsOf(bob), "");
  EXPECT_EQ(alice.send("DELETE", "/v1/budget").status, 204);
  EXPECT_EQ(alice.send("DELETE", "/v1/budget").status, 404);
  EXPECT_EQ(budgetsOf(alice), "provider 50 hard, spent 0; ");
  EXPECT_EQ(alice.send("PUT", "/v1/budget", R"({"amount": "9"})").status, 200);
  EXPECT_EQ(admin.send("DELETE", "/v1/budget?tenant=alice").status, 204);
  EXPECT_EQ(budgetsOf(alice), "tenant 9 soft, spent 0; ");
}

TEST(BillingWithoutPrices, ABudgetSaysWhyItIsNotKnownWhatIsSpent) {
  const DaemonProcess daemon;
  const HttpClient admin(daemon.port(), daemon.adminToken());
  const auto alice = makeTenant(admin, "alice");
  const FakeNode node(daemon.nodeSocket(), daemon.nodeToken());
  const auto id = admin.send("GET", "/v1/tenants/alice").text("id");
  ASSERT_TRUE(node.desired(-1).has_value());
  const auto now = lastMonth().to;
  ASSERT_EQ(
      node.send("POST", "/node/v1/usage",
                metering::toJson(
                    {"one", 1, "boot", {{id, "", "", Meter::cpu, kCoreHour, now, now + 10 * metering::kSecond, ""}}}))
          .status,
      200);
  const auto set = alice.send("PUT", "/v1/budget", R"({"amount": "9"})");
  ASSERT_EQ(set.status, 200) << set.body;
  const auto shown = alice.send("GET", "/v1/budget").json()->getArray("items")->getObject(0);
  for (const auto& budget : {set.json(), shown}) {
    EXPECT_FALSE(budget->has("spent"));
    ASSERT_TRUE(budget->has("failure"));
    EXPECT_EQ(budget->getObject("failure")->getValue<std::string>("code"), "price_missing");
    const auto detail = budget->getObject("failure")->getValue<std::string>("detail");
    EXPECT_NE(detail.find("no price list covers"), std::string::npos) << detail;
  }
}

TEST_F(Billing, ANodeDoesNotSpeakForTheControlPlane) {
  const metering::UsageRow usage{"tn-x", "", "", Meter::cpu, 1, month.from, month.from + 1, ""};
  const metering::UsageRow change{
      "tn-x", "", "", Meter::lifecycle, 1, month.from, month.from + 1, "plan small -> large"};
  const metering::UsageRow images{"tn-x", "", "", Meter::imageStorage, 1, month.from, month.from + 1, ""};
  for (const auto& [source, rows, field] : {std::tuple{"cloisterd", std::vector{usage}, "source"},
                                            {"one", {usage, change}, "rows[1].meter"},
                                            {"one", {images}, "rows[0].meter"}}) {
    const auto answer = node.send("POST", "/node/v1/usage", metering::toJson({source, 1, "boot", rows}));
    EXPECT_EQ(answer.status, 400) << answer.body;
    EXPECT_EQ(answer.text("code"), "invalid_usage");
    EXPECT_EQ(answer.text("field"), field);
  }
  // Nor for a host that is not there, nor for another one.
  const auto unheardOf = node.send("POST", "/node/v1/usage", metering::toJson({"unheard-of", 1, "boot", {usage}}));
  EXPECT_EQ(unheardOf.status, 403) << unheardOf.body;
  EXPECT_EQ(unheardOf.text("code"), "node_unknown");
}

TEST_F(Billing, ADryRunChangesNothing) {
  use(alice, month.from, 10 * kCoreHour);
  const std::string dear =
      R"({"name": "dear", "currency": "EUR", "from": "2020-01-01T00:00:00Z",
          "items": [{"sku": "cpu", "meter": "cpu", "unit": "core-hour", "tiers": [{"price": "7"}]}]})";
  const auto dry = alice.send("POST", "/v1/periods/" + period + "/rating", dear);
  EXPECT_EQ(dry.text("total"), "70") << dry.body;
  EXPECT_EQ(alice.send("GET", "/v1/prices").body.find("dear"), std::string::npos);
}

}  // namespace
}  // namespace cloister::testing
