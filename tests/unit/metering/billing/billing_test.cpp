#include "metering/base/sql.h"
#include "tests/unit/metering/billing/billing_fixture.h"

namespace cloister::metering {
namespace {

TEST_F(BillingTest, aMonthIsWhatItsRowsCost) {
  price("2026", "0.5");
  plan("tn-1", kJanuary.from, "", "small");
  use("tn-1", kJanuary.from, kCoreHour);
  use("tn-1", kJanuary.to - 10 * kSecond, 3 * kCoreHour, "ap-2");
  use("tn-1", kFebruary.from, kCoreHour);  // the next month's
  const auto closing = close(kJanuary, {{"tn-1", "acme"}});
  EXPECT_EQ(closing.closed, 1U);
  const auto invoice = closed("tn-1", kJanuary);
  EXPECT_EQ(invoice.tenantName, "acme");
  EXPECT_EQ(invoice.total, 13'200'000);  // 4 x 0.5 + 10, and 10 %
  EXPECT_EQ(invoice.lastRow, 10U);
  EXPECT_EQ(invoice.head.size(), 64U);
}

TEST_F(BillingTest, closingTwiceClosesOnce) {
  price("2026", "0.5");
  use("tn-1", kJanuary.from, kCoreHour);
  EXPECT_EQ(close(kJanuary).closed, 1U);
  const auto before = closed("tn-1", kJanuary);
  reopen();
  const auto again = close(kJanuary);
  EXPECT_EQ(again.closed, 0U);
  EXPECT_EQ(again.present, 1U);
  EXPECT_EQ(closed("tn-1", kJanuary), before);
}

TEST_F(BillingTest, aMonthThatIsNotOverIsNotClosed) {
  price("2026", "0.5");
  use("tn-1", kJanuary.from, kCoreHour);
  EXPECT_FALSE(billing_->close(kJanuary, {}, kJanuary.to - 1));
}

TEST_F(BillingTest, usageThatComesLateIsACorrectionOfItsMonthOnce) {
  price("2026", "0.5");
  use("tn-1", kJanuary.from, kCoreHour);
  close(kJanuary);
  use("tn-1", kJanuary.from + kHour, 2 * kCoreHour);
  use("tn-1", kFebruary.from, kCoreHour);
  const auto before = closed("tn-1", kJanuary);
  close(kFebruary);
  EXPECT_EQ(closed("tn-1", kJanuary), before);
  const auto february = closed("tn-1", kFebruary);
  ASSERT_EQ(february.lines.size(), 3U);  // usage, correction, tax
  EXPECT_EQ(february.lines[1].kind, ChargeKind::correction);
  EXPECT_EQ(february.lines[1].from, kJanuary.from);
  EXPECT_EQ(february.lines[1].quantity, Quantity{2 * kCoreHour});
  EXPECT_EQ(february.lines[1].cost, kMicros);
  // Later again: only what is new.
  use("tn-1", kJanuary.from + kHour, kCoreHour);
  close(kMarch);
  const auto march = closed("tn-1", kMarch);
  ASSERT_EQ(march.lines.size(), 2U);
  EXPECT_EQ(march.lines[0].cost, kMicros / 2);
}

TEST_F(BillingTest, aDraftIsWhatClosingWouldMakeAndLeavesNothing) {
  price("2026", "0.5");
  use("tn-1", kJanuary.from, kCoreHour);
  ASSERT_TRUE(billing_->addCredit("tn-1", "welcome", kMicros / 10, 0));
  const auto draft = billing_->draft("tn-1", "tn-1", kJanuary);
  ASSERT_TRUE(draft) << draft.error().message();
  close(kJanuary);
  auto made = closed("tn-1", kJanuary);
  made.closedAt = 0;
  EXPECT_EQ(made, *draft);
  EXPECT_EQ(billing_->credits("tn-1")->at(0).credit.remaining, 0);
}

TEST_F(BillingTest, aClosedMonthCanBeRatedWithOtherPrices) {
  price("2026", "0.5");
  use("tn-1", kJanuary.from, 2 * kCoreHour);
  close(kJanuary);
  PriceBook other = billing_->priceBook().value();
  other.at(0).items.at(0).tiers.at(0).price *= 3;
  const auto dry = billing_->draft("tn-1", "acme", kJanuary, &other);
  ASSERT_TRUE(dry);
  EXPECT_EQ(dry->total, 3'300'000);
  EXPECT_EQ(closed("tn-1", kJanuary).total, 1'100'000);
}

TEST_F(BillingTest, whatAClosedInvoiceWasMadeFromIsStillThere) {
  price("2026", "0.5");
  plan("tn-1", kJanuary.from, "", "small");
  use("tn-1", kJanuary.from, kCoreHour);
  close(kJanuary);
  const auto invoice = closed("tn-1", kJanuary);
  use("tn-1", kJanuary.from, kCoreHour);
  plan("tn-1", kJanuary.from + kHour, "small", "");
  ASSERT_TRUE(billing_->rollUp());
  const auto input = billing_->inputOf("tn-1", kJanuary, invoice.lastRow);
  ASSERT_TRUE(input) << input.error().message();
  ASSERT_EQ(input->usage.size(), 1U);
  EXPECT_EQ(input->usage[0].quantity, Quantity{kCoreHour});
  EXPECT_EQ(input->plans, (std::vector<PlanSpan>{{kJanuary.from, kOpenEnd, "small"}}));
}

TEST_F(BillingTest, sumsAreExactBeyondSixtyFourBits) {
  price("2026", "0");
  for (int i = 0; i < 3; ++i) use("tn-1", kJanuary.from, UINT64_MAX);
  ASSERT_TRUE(billing_->rollUp());
  EXPECT_TRUE(billing_->used(kJanuary, Meter::cpu).value().at("tn-1") == Quantity{UINT64_MAX} * 3);
}

TEST_F(BillingTest, awkwardTenantsAreTenants) {
  price("2026", "0.5");
  for (const std::string tenant : {"'; DROP TABLE rows; --", "tn \"x\"\n\t", "\xc3\xa9\xf0\x9f\x98\x80", "%00", "-"}) {
    use(tenant, kJanuary.from, kCoreHour, "a'b\"c");
    const auto draft = billing_->draft(tenant, tenant, kJanuary);
    ASSERT_TRUE(draft) << draft.error().message();
    EXPECT_EQ(draft->total, 550'000) << tenant;
  }
  EXPECT_EQ(close(kJanuary).closed, 5U);
}

TEST_F(BillingTest, aCreditThatOneRequestAsksForTwiceIsGivenOnce) {
  const auto first = billing_->addCredit("tn-1", "outage", kMicros, 1, "tk/key");
  const auto again = billing_->addCredit("tn-1", "outage", kMicros, 2, "tk/key");
  ASSERT_TRUE(first && again);
  EXPECT_EQ(*first, *again);
  ASSERT_TRUE(billing_->addCredit("tn-1", "outage", kMicros, 3));
  ASSERT_TRUE(billing_->addCredit("tn-2", "outage", kMicros, 3, "tk/key"));
  EXPECT_EQ(billing_->credits("tn-1")->size(), 2U);
}

TEST_F(BillingTest, aCreditIsRevokedUntilAnInvoiceHasIt) {
  price("2026", "1");
  use("tn-1", kJanuary.from, kCoreHour);
  const auto wrong = billing_->addCredit("tn-1", "typed wrongly", kMicros / 2, 1, "tk/key").value();
  const auto good = billing_->addCredit("tn-1", "outage", kMicros / 2, 2).value();
  EXPECT_EQ(billing_->revokeCredit("cr-nobody", 5)->outcome, Revocation::Outcome::unknown);
  ASSERT_EQ(billing_->revokeCredit(wrong, 5)->outcome, Revocation::Outcome::revoked);
  EXPECT_EQ(billing_->revokeCredit(wrong, 6)->outcome, Revocation::Outcome::revoked);
  const auto listed = billing_->credits("tn-1").value();
  ASSERT_EQ(listed.size(), 2U);
  EXPECT_EQ(listed[0].revokedAt, 5);
  EXPECT_EQ(listed[0].credit.remaining, 0);
  EXPECT_EQ(listed[0].amount, kMicros / 2);
  EXPECT_EQ(listed[1].revokedAt, 0);
  // The request that gave it comes again: it is not given anew.
  EXPECT_EQ(billing_->addCredit("tn-1", "typed wrongly", kMicros / 2, 7, "tk/key").value(), wrong);
  EXPECT_EQ(billing_->credits("tn-1")->at(0).credit.remaining, 0);

  EXPECT_EQ(close(kJanuary).closed, 1U);
  EXPECT_EQ(closed("tn-1", kJanuary).total, 550'000) << "one of them, and 10 % VAT";
  const auto used = billing_->revokeCredit(good, 8);
  ASSERT_TRUE(used) << used.error().message();
  EXPECT_EQ(used->outcome, Revocation::Outcome::used);
  EXPECT_EQ(used->invoice, invoiceId("tn-1", kJanuary));
  EXPECT_EQ(billing_->credits("tn-1")->at(1).revokedAt, 0);
}

// What another cloisterd would write that drafted its invoice before the revocation.
TEST_F(BillingTest, aRevokedCreditCannotBeTaken) {
  const auto id = billing_->addCredit("tn-1", "typed wrongly", kMicros, 1).value();
  auto database = Connection::open(place_->location(), "test");
  ASSERT_TRUE(database.ok());
  ASSERT_EQ(billing_->revokeCredit(id, 5)->outcome, Revocation::Outcome::revoked);
  EXPECT_FALSE(database->exec("UPDATE credits SET remaining = remaining - 1000000").ok());
  EXPECT_EQ(billing_->credits("tn-1")->at(0).credit.remaining, 0);
}

TEST_F(BillingTest, aHostHasRowsAndNoInvoice) {
  PriceList list;
  list.name = "2026";
  list.currency = "EUR";
  list.items = {{"cpu", Meter::cpu, "core-hour", 0, {{kNoEnd, parseUnitPrice("1").value()}}}};
  list.minimum = 5 * kMicros;
  ASSERT_TRUE(billing_->addPriceList(list));
  use("tn-1", kJanuary.from, kCoreHour);
  use(hostChain("nd-1"), kJanuary.from, kCoreHour);
  EXPECT_EQ(close(kJanuary).closed, 1U);
  EXPECT_FALSE(billing_->invoice(invoiceId(hostChain("nd-1"), kJanuary)).value());
}

TEST_F(BillingTest, priceListsAreKept) {
  price("a", "0.5");
  price("b", "0.7", kFebruary.from);
  reopen();
  const auto book = billing_->priceBook();
  ASSERT_TRUE(book);
  ASSERT_EQ(book->size(), 2U);
  EXPECT_EQ(book->at(0).to, kFebruary.from);
  EXPECT_FALSE(billing_->addPriceList(book->at(1)));
}

TEST_F(BillingTest, onlyTheControlPlaneSaysWhichPlanIsHeld) {
  price("list", "1");
  plan("tn-1", kJanuary.from, "", "small");
  auto forged = controlPlaneBatch(1, {rowOf({kJanuary.from + kHour, "tn-1", "plan", "small", ""})});
  forged.source = "nd-1";
  ASSERT_EQ(ledger_->append(forged, kJanuary.from).value(), Appended::recorded);
  close(kJanuary);
  const auto invoice = closed("tn-1", kJanuary);
  ASSERT_EQ(invoice.lines.size(), 2U) << "the fee and its tax";
  EXPECT_EQ(invoice.lines[0].cost, 10 * kMicros) << "the fee of the whole month";
  const auto input = billing_->inputOf("tn-1", kJanuary, 100);
  ASSERT_TRUE(input);
  ASSERT_EQ(input->plans.size(), 1U);
  EXPECT_EQ(input->plans[0].to, kOpenEnd);
}

TEST_F(BillingTest, providerAndTenantHaveABudgetEach) {
  ASSERT_TRUE(billing_->setBudget({"tn-1", SetBy::tenant, 5 * kMicros, Cap::soft, 6}));
  ASSERT_TRUE(billing_->setBudget({"tn-1", SetBy::provider, 9 * kMicros, Cap::hard, 7}));
  ASSERT_TRUE(billing_->setBudget({"tn-1", SetBy::tenant, 6 * kMicros, Cap::hard, 8}));
  ASSERT_TRUE(billing_->setBudget({"tn-2", SetBy::tenant, 6 * kMicros, Cap::soft, 8}));
  EXPECT_FALSE(billing_->setBudget({"tn-1", SetBy::provider, 0, Cap::soft, 9}));
  reopen();
  const auto both = billing_->budgets("tn-1").value();
  ASSERT_EQ(both.size(), 2U);
  EXPECT_EQ(both[0].by, SetBy::provider);
  EXPECT_EQ(both[0].amount, 9 * kMicros);
  EXPECT_EQ(both[0].cap, Cap::hard);
  EXPECT_EQ(both[0].since, 7);
  EXPECT_EQ(both[1].by, SetBy::tenant);
  EXPECT_EQ(both[1].amount, 6 * kMicros);
  EXPECT_EQ(both[1].since, 8);
  EXPECT_EQ(billing_->budgets("").value().size(), 3U);
  EXPECT_TRUE(billing_->removeBudget("tn-1", SetBy::tenant).value());
  EXPECT_FALSE(billing_->removeBudget("tn-1", SetBy::tenant).value());
  ASSERT_EQ(billing_->budgets("tn-1").value().size(), 1U);
  EXPECT_EQ(billing_->budgets("tn-1").value()[0].by, SetBy::provider);
}

}  // namespace
}  // namespace cloister::metering
