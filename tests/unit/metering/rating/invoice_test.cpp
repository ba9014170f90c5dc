#include "metering/rating/invoice.h"

#include <gtest/gtest.h>

#include <cerrno>

namespace cloister::metering {
namespace {

const Period kJanuary = *parseMonth("2026-01");
const Period kFebruary = *parseMonth("2026-02");

PriceBook book() {
  PriceList list;
  list.name = "2026";
  list.currency = "EUR";
  list.taxes = {{"VAT", 190'000}};
  return {list};
}

InvoiceLine usageLine(const std::string& app, Quantity quantity, Money cost) {
  InvoiceLine line;
  line.sku = "cpu";
  line.appId = app;
  line.priceList = "2026";
  line.from = kJanuary.from;
  line.to = kJanuary.to;
  line.unit = "core-hour";
  line.quantity = quantity;
  line.cost = cost;
  return line;
}

Money sum(const Invoice& invoice) {
  Money all = 0;
  for (const auto& line : invoice.lines) all += line.cost;
  return all;
}

Invoice make(std::vector<InvoiceLine> lines, std::vector<Credit> credits) {
  InvoiceInput input;
  input.tenantId = "tn-1";
  input.tenantName = "acme";
  input.period = kJanuary;
  input.lines = std::move(lines);
  input.credits = std::move(credits);
  input.lastRow = 7;
  input.head = "ab";
  auto invoice = makeInvoice(book(), input);
  EXPECT_TRUE(invoice) << invoice.error().message();
  return invoice.value();
}

TEST(Invoice, linesAddUpToATotalInWholeCents) {
  const auto invoice = make({usageLine("ap-1", 5, 1'234'567)}, {});
  // 1.234567 + 19 % = 1.46913473 -> 1.469135, rounded to 1.47.
  EXPECT_EQ(invoice.total, 1'470'000);
  EXPECT_EQ(sum(invoice), invoice.total);
  EXPECT_EQ(invoice.lines.back().kind, ChargeKind::rounding);
}

TEST(Invoice, creditsAreUsedInOrderAndNeverMoreThanThereIsToPay) {
  const auto invoice =
      make({usageLine("ap-1", 5, 3 * kMicros)}, {{"cr-1", "welcome", 1 * kMicros}, {"cr-2", "outage", 5 * kMicros}});
  ASSERT_EQ(invoice.lines.size(), 4U);
  EXPECT_EQ(invoice.lines[1].cost, -1 * kMicros);
  EXPECT_EQ(invoice.lines[2].cost, -2 * kMicros);
  EXPECT_EQ(invoice.lines[3].cost, 0);  // tax of nothing
  EXPECT_EQ(invoice.total, 0);
}

TEST(Invoice, correctionsAreTheDifferenceToWhatWasBilled) {
  const BilledMonth billed{kJanuary, {usageLine("ap-1", 5, 3 * kMicros), usageLine("ap-2", 1, kMicros)}};
  const auto lines = correctionsOf(
      billed, {usageLine("ap-1", 7, 4 * kMicros), usageLine("ap-2", 1, kMicros), usageLine("ap-3", 2, 5)});
  ASSERT_EQ(lines.size(), 2U);
  EXPECT_EQ(lines[0].appId, "ap-1");
  EXPECT_EQ(lines[0].kind, ChargeKind::correction);
  EXPECT_EQ(lines[0].quantity, Quantity{2});
  EXPECT_EQ(lines[0].cost, kMicros);
  EXPECT_EQ(lines[1].appId, "ap-3");
  EXPECT_EQ(lines[1].from, kJanuary.from);
  // What a correction billed is billed: a second one finds nothing.
  BilledMonth again = billed;
  again.lines.insert(again.lines.end(), lines.begin(), lines.end());
  EXPECT_TRUE(
      correctionsOf(again, {usageLine("ap-1", 7, 4 * kMicros), usageLine("ap-2", 1, kMicros), usageLine("ap-3", 2, 5)})
          .empty());
}

TEST(Invoice, isReadAsItIsWritten) {
  auto invoice = make({usageLine("ap \"1\"\t\x01", Quantity{1} << 100U, 3 * kMicros)}, {{"cr-1", "welcome", kMicros}});
  invoice.closedAt = kFebruary.from + 5;
  const auto again = invoiceFromJson(toJson(invoice));
  ASSERT_TRUE(again) << again.error().message();
  EXPECT_EQ(*again, invoice);
  EXPECT_EQ(toJson(*again), toJson(invoice));
}

TEST(Invoice, coinsAreTheCurrencys) {
  EXPECT_EQ(minorDigits("EUR"), 2U);
  EXPECT_EQ(minorDigits("JPY"), 0U);
  EXPECT_EQ(minorDigits("KWD"), 3U);
}

TEST(Invoice, aMonthWithoutAnyPriceListIsAnError) {
  PriceBook none;
  EXPECT_FALSE(makeInvoice(none, {"tn-1", "acme", kJanuary, {}, {}, {}, 0, ""}));
}

TEST(Invoice, aSumThatTaxOrRoundingTakesBeyondSixtyThreeBitsIsRefused) {
  for (const std::uint32_t percent : {0U, 190'000U}) {
    PriceBook taxed(1);
    taxed[0].currency = "EUR";
    taxed[0].taxes = {{"VAT", percent}};
    InvoiceInput input;
    input.period = *parseMonth("2026-01");
    input.lines.resize(1);
    input.lines[0].cost = INT64_MAX - (percent == 0 ? 1 : INT64_MAX / 10);
    const auto invoice = makeInvoice(taxed, input);
    ASSERT_FALSE(invoice) << percent;
    EXPECT_EQ(invoice.error().code, ERANGE);
    EXPECT_EQ(invoice.error().path, percent == 0 ? "rounding" : "taxes");
  }
}

}  // namespace
}  // namespace cloister::metering
