// A month that is closed while the server's connection breaks, at each moment at which it can.
#include "metering/billing/billing.h"
#include "tests/integration/metering/postgres_proxy.h"
#include "tests/integration/metering/postgres_server.h"
#include "tests/unit/metering/ledger/ledger_fixture.h"

namespace cloister::metering {
namespace {

using test::PostgresProxy;
using test::sharedPostgres;

const Period kMonth = *parseMonth("2026-01");

// Three tenants with an hour of a core each.
void use(const std::string& location) {
  auto ledger = Ledger::open(location);
  ASSERT_TRUE(ledger.ok()) << ledger.error().message();
  UsageBatch batch{"nd-1", 1, "boot", {}};
  for (const char* tenant : {"tn-1", "tn-2", "tn-3"}) {
    batch.rows.push_back(
        {tenant, "ap", "in", Meter::cpu, 3'600'000'000'000, kMonth.from, kMonth.from + 10 * kSecond, ""});
  }
  ASSERT_TRUE((*ledger)->append(batch, kMonth.from).ok());
  PriceList list;
  list.name = "2026";
  list.currency = "EUR";
  list.items = {{"cpu", Meter::cpu, "core-hour", 0, {{kNoEnd, parseUnitPrice("0.5").value()}}}};
  auto billing = Billing::open(location);
  ASSERT_TRUE(billing.ok()) << billing.error().message();
  const auto added = (*billing)->addPriceList(list);
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
    ASSERT_TRUE(database->exec("DELETE FROM invoices").ok());
  }
  EXPECT_GT(breaks, 10);
}

}  // namespace
}  // namespace cloister::metering
