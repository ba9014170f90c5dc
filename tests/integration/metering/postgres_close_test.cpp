// A month that is closed while the server's connection breaks, or while another process writes, at each moment at which
// it can.
#include <map>

#include "metering/billing/billing.h"
#include "tests/integration/metering/postgres_proxy.h"
#include "tests/integration/metering/postgres_server.h"
#include "tests/unit/metering/ledger/ledger_fixture.h"

namespace cloister::metering {
namespace {

using test::PostgresProxy;
using test::sharedPostgres;

const Period kMonth = *parseMonth("2026-01");

const Period kNext = *parseMonth("2026-02");
constexpr std::int64_t kMidMonth = 15 * 24 * kHour;

// An hour of a core each, in the second half of the month.
void append(const std::string& location, const std::string& source, const std::vector<std::string>& tenants) {
  auto ledger = Ledger::open(location);
  ASSERT_TRUE(ledger.ok()) << ledger.error().message();
  UsageBatch batch{source, 1, "boot", {}};
  const auto from = kMonth.from + kMidMonth + kHour;
  for (const auto& tenant : tenants)
    batch.rows.push_back({tenant, "ap", "in", Meter::cpu, 3'600'000'000'000, from, from + 10 * kSecond, ""});
  ASSERT_TRUE((*ledger)->append(batch, kMonth.from).ok());
}

PriceList listFrom(const std::string& name, std::int64_t from, const char* price) {
  PriceList list;
  list.name = name;
  list.currency = "EUR";
  list.from = from;
  list.items = {{"cpu", Meter::cpu, "core-hour", 0, {{kNoEnd, parseUnitPrice(price).value()}}}};
  return list;
}

void use(const std::string& location) {
  append(location, "nd-1", {"tn-1", "tn-2", "tn-3"});
  auto billing = Billing::open(location);
  ASSERT_TRUE(billing.ok()) << billing.error().message();
  const auto added = (*billing)->addPriceList(listFrom("2026", kMonth.from, "0.5"));
  ASSERT_TRUE(added.ok()) << added.error().message();
}

TEST(PostgresClose, ABreakAtAnyMomentIsAServerThatIsAwayAndTheNextCloseIsWhole) {
  const auto name = sharedPostgres().createPlace();
  use(sharedPostgres().location(name));
  PostgresProxy proxy(sharedPostgres().socket());
  const auto behind = sharedPostgres().locationBehind(proxy.directory(), name);
  int breaks = 0;
  bool broke = true;
  for (int message = 1; broke; ++message) {
    ASSERT_LT(message, 1000);
    auto billing = Billing::open(behind);
    ASSERT_TRUE(billing.ok()) << billing.error().message();
    ASSERT_TRUE((*billing)->priceBook().ok());  // it is connected
    proxy.breakAfter(message);
    const auto closing = (*billing)->close(kMonth, {}, kMonth.to + kHour);
    broke = proxy.broke();
    proxy.breakAfter(INT_MAX);
    if (!closing.ok()) {
      ++breaks;
      EXPECT_TRUE(broke) << closing.error().message();
      EXPECT_TRUE(isAway(closing.error())) << message << ": " << closing.error().message();
    }
    const auto again = (*billing)->close(kMonth, {}, kMonth.to + kHour);
    ASSERT_TRUE(again.ok()) << message << ": " << again.error().message();
    EXPECT_EQ(again->closed + again->present, 3U) << message;
    const auto invoices = (*billing)->invoices("");
    ASSERT_TRUE(invoices.ok()) << invoices.error().message();
    EXPECT_EQ(invoices->size(), 3U) << message;
    for (const auto& one : *invoices) EXPECT_EQ(one.total, 500'000) << one.id;
    // The next moment is one of a month that is not closed.
    auto database = Connection::open(sharedPostgres().location(name), "test");
    ASSERT_TRUE(database.ok());
    ASSERT_TRUE(database->exec("DELETE FROM invoices; DELETE FROM closed_months; DELETE FROM late").ok());
  }
  EXPECT_GT(breaks, 10);
}

// The other one brings usage of a tenant that has an invoice and of one that has none, and a price list.
TEST(PostgresClose, WhateverAnotherProcessWritesMeanwhileIsBilledOnceAndAtOnePrice) {
  int late = 0;
  int inTime = 0;
  int dearer = 0;
  bool acted = true;
  for (int message = 1; acted; ++message) {
    ASSERT_LT(message, 1000);
    const auto name = sharedPostgres().createPlace();
    const auto location = sharedPostgres().location(name);
    use(location);
    PostgresProxy proxy(sharedPostgres().socket());
    auto billing = Billing::open(sharedPostgres().locationBehind(proxy.directory(), name));
    ASSERT_TRUE(billing.ok()) << billing.error().message();
    ASSERT_TRUE((*billing)->priceBook().ok());  // it is connected
    acted = false;
    bool other = false;
    proxy.actBefore(message, [&] {
      acted = true;
      append(location, "nd-2", {"tn-1", "tn-4"});
      auto another = Billing::open(location);
      ASSERT_TRUE(another.ok() && (*another)->rollUp().ok());
      other = (*another)->addPriceList(listFrom("higher", kMonth.from + kMidMonth, "0.9")).ok();
    });
    const auto closing = (*billing)->close(kMonth, {}, kMonth.to + kHour);
    ASSERT_TRUE(closing.ok()) << message << ": " << closing.error().message();
    proxy.await();
    if (!acted) break;
    dearer += other ? 1 : 0;
    const auto first = (*billing)->invoices("");
    ASSERT_TRUE(first.ok() && (*billing)->close(kNext, {}, kNext.to).ok());
    (first->size() == 4 ? inTime : late) += 1;
    std::map<std::string, Money> billed;
    const auto all = (*billing)->invoices("");
    ASSERT_TRUE(all.ok());
    for (const auto& one : *all) {
      billed[one.tenantId] += one.total;
      const auto invoice = (*billing)->invoice(one.id).value().value();
      if (one.period != kMonth) continue;
      EXPECT_EQ(sumOf((*billing)->chargesOf(invoice).value()), one.total) << message;
    }
    const Money price = other ? 900'000 : 500'000;
    EXPECT_EQ(billed,
              (std::map<std::string, Money>{{"tn-1", 2 * price}, {"tn-2", price}, {"tn-3", price}, {"tn-4", price}}))
        << message;
  }
  EXPECT_GT(late, 0);
  EXPECT_GT(inTime, 0);
  EXPECT_GT(dearer, 0);
}

}  // namespace
}  // namespace cloister::metering
