#include "metering/billing/closing.h"

#include "metering/base/sql.h"
#include "tests/unit/metering/billing/billing_fixture.h"

namespace cloister::metering {
namespace {

using ClosingTest = BillingTest;

const Period kApril = *parseMonth("2026-04");

std::vector<InvoiceLine> correctionsIn(const Invoice& invoice) {
  std::vector<InvoiceLine> found;
  for (const auto& line : invoice.lines) {
    if (line.kind == ChargeKind::correction) found.push_back(line);
  }
  return found;
}

TEST_F(ClosingTest, lateUsageOfATenantWithoutAnInvoiceIsOnItsNextOne) {
  price("2026", "0.5");
  use("tn-1", kJanuary.from, kCoreHour);
  EXPECT_EQ(close(kJanuary).closed, 1U);
  use("tn-2", kJanuary.from + kHour, 2 * kCoreHour);  // of a node that was away
  close(kFebruary);
  EXPECT_FALSE(billing_->invoice(invoiceId("tn-2", kJanuary)).value());
  const auto corrections = correctionsIn(closed("tn-2", kFebruary));
  ASSERT_EQ(corrections.size(), 1U);
  EXPECT_EQ(corrections[0].from, kJanuary.from);
  EXPECT_EQ(corrections[0].cost, kMicros);
  use("tn-2", kMarch.from, kCoreHour);
  close(kMarch);
  EXPECT_TRUE(correctionsIn(closed("tn-2", kMarch)).empty());
}

TEST_F(ClosingTest, aMonthThatIsClosedGetsNoInvoiceMore) {
  price("2026", "0.5");
  close(kJanuary);
  use("tn-1", kJanuary.from, kCoreHour);
  const auto again = close(kJanuary);
  EXPECT_EQ(again.closed + again.present, 0U);
  EXPECT_TRUE(billing_->invoices("")->empty());
}

TEST_F(ClosingTest, aTenantThatUsedNothingGetsNoInvoice) {
  price("2026", "0.5");
  use("tn-1", kJanuary.from, kCoreHour);
  EXPECT_EQ(close(kJanuary).closed, 1U);
  EXPECT_EQ(close(kFebruary).closed, 0U);  // and the tax on nothing is no line of its own
}

TEST_F(ClosingTest, aChangeOfPlanThatComesLateCorrectsTheFeesOfItsMonthAndOfThoseAfterIt) {
  price("2026", "0.5");
  plan("tn-1", kJanuary.from, "", "small");
  close(kJanuary);
  close(kFebruary);
  plan("tn-1", kFebruary.from, "small", "");
  close(kMarch);
  const auto march = closed("tn-1", kMarch);
  const auto corrections = correctionsIn(march);
  ASSERT_EQ(corrections.size(), 1U);
  EXPECT_EQ(corrections[0].from, kFebruary.from);
  EXPECT_EQ(corrections[0].cost, -10 * kMicros);
  EXPECT_EQ(corrections[0].sku, "plan-small");
}

TEST_F(ClosingTest, monthsCloseInOrder) {
  price("2026", "0.5");
  use("tn-1", kFebruary.from, kCoreHour);
  const auto early = billing_->close(kMarch, {}, kMarch.to);
  ASSERT_FALSE(early);
  EXPECT_EQ(early.error().stage, "period");
  EXPECT_NE(early.error().operation.find("2026-02"), std::string::npos) << early.error().message();
  EXPECT_EQ(close(kFebruary).closed, 1U);  // nothing was used in January
  EXPECT_FALSE(billing_->close(kApril, {}, kApril.to));
  use("tn-1", kJanuary.from, kCoreHour);
  EXPECT_EQ(close(kJanuary).closed, 0U);  // it went with February
  EXPECT_EQ(billing_->invoices("")->size(), 1U);
}

TEST_F(ClosingTest, whatComesForAMonthBeforeTheFirstThatWasClosedIsLateToo) {
  price("2026", "0.5");
  use("tn-1", kMarch.from, kCoreHour);
  close(kMarch);
  use("tn-1", kJanuary.from, 2 * kCoreHour);
  close(kApril);
  const auto corrections = correctionsIn(closed("tn-1", kApril));
  ASSERT_EQ(corrections.size(), 1U);
  EXPECT_EQ(corrections[0].from, kJanuary.from);
}

TEST_F(ClosingTest, pricesOfAClosedMonthStay) {
  price("2026", "0.5");
  use("tn-1", kJanuary.from + 20 * 24 * kHour, kCoreHour);
  close(kJanuary);
  const auto added = billing_->addPriceList(list("higher", "0.9", kJanuary.from + 15 * 24 * kHour));
  ASSERT_FALSE(added);
  EXPECT_EQ(added.error().stage, "price list");
  EXPECT_EQ(added.error().path, "from");
  EXPECT_NE(added.error().operation.find("2026-02-01"), std::string::npos) << added.error().message();
  price("higher", "0.9", kFebruary.from);
  EXPECT_EQ(sumOf(billing_->chargesOf(closed("tn-1", kJanuary)).value()), kMicros / 2);
}

TEST_F(ClosingTest, aMonthThatNoListCoversWholeIsNotClosed) {
  auto first = list("a", "0.5");
  first.to = kJanuary.from + 9 * 24 * kHour;
  ASSERT_TRUE(billing_->addPriceList(first));
  price("b", "0.5", first.to + 24 * kHour);
  plan("tn-1", kJanuary.from, "", "small");  // its fee would be a day's less
  const auto closing = billing_->close(kJanuary, {}, kFebruary.to);
  ASSERT_FALSE(closing);
  EXPECT_EQ(closing.error().operation + ' ' + closing.error().path,
            "no price list covers the hour of 2026-01-10T00:00:00Z");
  EXPECT_TRUE(billing_->invoices("")->empty());
}

// 500 invoices are written at once.
TEST_F(ClosingTest, aCloseThatEndedInBetweenIsCompletedByTheNext) {
  constexpr unsigned kTenants = 700;
  price("2026", "0.5");
  UsageBatch batch{"nd-1", ++sequence_, "boot", {}};
  const auto name = [](unsigned i) { return "tn-" + std::to_string(1000 + i); };
  for (unsigned i = 0; i < kTenants; ++i) {
    batch.rows.push_back({name(i), "ap", "in", Meter::cpu, kCoreHour, kJanuary.from, kJanuary.from + kSecond, ""});
    ASSERT_TRUE(billing_->addCredit(name(i), "welcome", kMicros / 10, 1));
  }
  ASSERT_TRUE(ledger_->append(batch, kJanuary.from));
  auto database = Connection::open(place_->location(), "test").value();
  ASSERT_TRUE(
      database.exec("{sqlite: CREATE TRIGGER no_more BEFORE INSERT ON invoices"
                    " WHEN (SELECT COUNT(*) FROM invoices) >= 600 BEGIN SELECT RAISE(ABORT, 'no more'); END}"
                    "{postgres: CREATE FUNCTION no_more() RETURNS trigger LANGUAGE plpgsql AS"
                    " 'BEGIN IF (SELECT COUNT(*) FROM invoices) >= 600 THEN RAISE ''no more''; END IF;"
                    " RETURN NEW; END'; CREATE TRIGGER no_more BEFORE INSERT ON invoices FOR EACH ROW"
                    " EXECUTE FUNCTION no_more()}"));
  EXPECT_FALSE(billing_->close(kJanuary, {}, kFebruary.to));
  EXPECT_EQ(billing_->invoices("")->size(), 500U);
  ASSERT_TRUE(database.exec("DROP TRIGGER no_more{postgres: ON invoices}"));
  reopen();
  // In between comes more, and the prices that some were invoiced with stay those of all.
  use(name(0), kJanuary.from, kCoreHour);
  use(name(kTenants - 1), kJanuary.from, kCoreHour);
  EXPECT_FALSE(billing_->addPriceList(list("higher", "0.9", kJanuary.from + kHour)));
  const auto closing = close(kJanuary);
  EXPECT_EQ(closing.present, 500U);
  EXPECT_EQ(closing.closed, 200U);
  for (const unsigned i : {0U, 499U, 500U, kTenants - 1}) {
    EXPECT_EQ(billing_->credits(name(i))->at(0).credit.remaining, 0) << i;
    EXPECT_EQ(closed(name(i), kJanuary).total, i == kTenants - 1 ? 990'000 : 440'000) << i;
  }
  close(kFebruary);
  EXPECT_EQ(correctionsIn(closed(name(0), kFebruary)).size(), 1U);
  EXPECT_EQ(billing_->invoices("")->size(), kTenants + 1U);
}

}  // namespace
}  // namespace cloister::metering
