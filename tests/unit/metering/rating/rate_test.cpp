#include "metering/rating/rate.h"

#include <gtest/gtest.h>

#include <random>

#include "metering/rating/invoice.h"

namespace cloister::metering {
namespace {

constexpr Quantity kCoreHour = 3'600'000'000'000;
const Period kJanuary = *parseMonth("2026-01");  // 744 hours

PriceItem cpuItem(std::uint64_t included, std::vector<Tier> tiers) {
  return {"cpu", Meter::cpu, "core-hour", included, std::move(tiers)};
}

PriceBook bookOf(PriceList list) {
  list.name = "list";
  list.currency = "EUR";
  return {std::move(list)};
}

HourUsage cpuAt(std::int64_t hour, Quantity quantity, const std::string& app = "ap-1") {
  return {kJanuary.from + hour * kHour, app, Meter::cpu, quantity};
}

TEST(Rate, includedThenTiersInTheOrderOfTime) {
  PriceList list;
  list.items = {cpuItem(10, {{5, 100'000'000}, {kNoEnd, 10'000'000}})};
  const auto charges = rate(bookOf(list), {kJanuary, {cpuAt(1, 12 * kCoreHour), cpuAt(0, 8 * kCoreHour)}, {}});
  ASSERT_TRUE(charges) << charges.error().message();
  ASSERT_EQ(charges->size(), 4U);     // a charge a tier
  EXPECT_EQ(charges->at(0).cost, 0);  // 8 of the 10 included
  EXPECT_EQ(charges->at(1).cost, 0);  // the other two
  EXPECT_EQ(charges->at(2).cost, 5 * 100'000);
  EXPECT_EQ(charges->at(3).cost, 5 * 10'000);
  EXPECT_EQ(charges->at(3).listPrice, 10'000'000);
}

// Whatever the hours and prices are: hours add up to their line and lines to the whole, and the whole is what the sum
// of the quantities costs.
TEST(Rate, hoursAddUpToWhatTheirSumCosts) {
  std::mt19937_64 random(7);
  for (int round = 0; round < 200; ++round) {
    PriceList list;
    const std::uint64_t first = 1 + random() % 50;
    list.items = {cpuItem(random() % 20, {{first, static_cast<UnitPrice>(random() % 1'000'000'000)},
                                          {first + 1 + random() % 50, static_cast<UnitPrice>(random() % 1'000'000)},
                                          {kNoEnd, static_cast<UnitPrice>(random() % 100)}})};
    RatingInput input{kJanuary, {}, {}};
    Quantity sum = 0;
    for (int i = 0; i < 50; ++i) {
      const Quantity quantity = random() % (5 * static_cast<std::uint64_t>(kCoreHour));
      sum += quantity;
      input.usage.push_back(cpuAt(static_cast<std::int64_t>(random() % 744), quantity, i % 2 == 0 ? "ap-1" : "ap-2"));
    }
    const auto parts = rate(bookOf(list), input);
    const auto whole = rate(bookOf(list), {kJanuary, {cpuAt(0, sum)}, {}});
    ASSERT_TRUE(parts && whole);
    EXPECT_EQ(sumOf(*parts), sumOf(*whole)) << "round " << round;
    Money lines = 0;
    for (const auto& line : linesOf(*parts)) lines += line.cost;
    EXPECT_EQ(lines, sumOf(*parts));
    for (const auto& charge : *parts) EXPECT_GE(charge.cost, 0);
  }
}

TEST(Rate, aListThatCoversPartOfTheMonthHasItsShareOfWhatIsIncluded) {
  PriceList first;
  first.name = "first";
  first.currency = "EUR";
  first.to = kJanuary.from + 372 * kHour;  // half of it
  first.items = {cpuItem(10, {{kNoEnd, 1'000'000'000}})};
  PriceList second = first;
  second.name = "second";
  second.from = first.to;
  second.to = kOpenEnd;
  second.items.at(0).tiers.at(0).price = 2'000'000'000;
  const auto charges = rate({first, second}, {kJanuary, {cpuAt(0, 6 * kCoreHour), cpuAt(372, 6 * kCoreHour)}, {}});
  ASSERT_TRUE(charges) << charges.error().message();
  EXPECT_EQ(sumOf(*charges), (1 + 2) * kMicros);  // five free hours each
}

TEST(Rate, feesFollowTheTimeOnAPlanToTheMicrosecond) {
  PriceList list;
  list.plans = {{"small", 10 * kMicros, 0, OverTransfer::charge}, {"large", 100 * kMicros, 0, OverTransfer::charge}};
  const auto half = kJanuary.from + (kJanuary.to - kJanuary.from) / 2;
  const auto charges = rate(bookOf(list), {kJanuary, {}, {{0, half, "small"}, {half, kOpenEnd, "large"}}});
  ASSERT_TRUE(charges);
  ASSERT_EQ(charges->size(), 2U);
  EXPECT_EQ(charges->at(0).sku, "plan-large");
  EXPECT_EQ(charges->at(0).cost, 50 * kMicros);
  EXPECT_EQ(charges->at(1).cost, 5 * kMicros);
}

TEST(Rate, theMinimumTakesWhatLacks) {
  PriceList list;
  list.minimum = 10 * kMicros;
  list.plans = {{"small", 4 * kMicros, 0, OverTransfer::charge}};
  const auto charges = rate(bookOf(list), {kJanuary, {}, {{0, kOpenEnd, "small"}}});
  ASSERT_TRUE(charges);
  ASSERT_EQ(charges->size(), 2U);
  EXPECT_EQ(charges->at(1).kind, ChargeKind::minimum);
  EXPECT_EQ(charges->at(1).cost, 6 * kMicros);
  // Nobody pays a minimum for a month without a plan, nor for the part before the first one.
  EXPECT_TRUE(rate(bookOf(list), {kJanuary, {}, {}})->empty());
  const auto late = rate(bookOf(list), {kJanuary, {}, {{kJanuary.from + 372 * kHour, kOpenEnd, "small"}}});
  EXPECT_EQ(sumOf(*late), 5 * kMicros);
}

TEST(Rate, anHourWithoutAPriceIsAnErrorThatNamesIt) {
  PriceList list;
  list.from = kJanuary.from + kHour;
  list.items = {cpuItem(0, {{kNoEnd, 1}})};
  const auto charges = rate(bookOf(list), {kJanuary, {cpuAt(0, 1)}, {}});
  ASSERT_FALSE(charges);
  EXPECT_EQ(charges.error().path, "2026-01-01T00:00:00Z");
}

TEST(Rate, aQuintillionBytesCostWhatTheyCostAndMoreThanAnInvoiceHoldsIsAnError) {
  PriceList list;
  list.items = {{"out", Meter::networkExternalOut, "gb", 0, {{kNoEnd, 50'000'000}}}};
  HourUsage usage{kJanuary.from, "", Meter::networkExternalOut, Quantity{1'000'000'000'000'000'000}};
  const auto charges = rate(bookOf(list), {kJanuary, {usage, usage}, {}});
  ASSERT_TRUE(charges) << charges.error().message();
  EXPECT_EQ(sumOf(*charges), 100'000'000 * kMicros);  // 2 x 10^9 GB at 0.05
  usage.quantity = ~Quantity{0} >> 8U;
  EXPECT_FALSE(rate(bookOf(list), {kJanuary, {usage}, {}}));
}

TEST(Rate, spansComeFromThePlanEventsAlone) {
  const std::vector<LifecycleEvent> events = {{10, "t", "plan", "", "small"},
                                              {15, "t", "state", "active", "suspended"},
                                              {20, "t", "plan", "small", "large"},
                                              {30, "t", "plan", "large", ""}};
  EXPECT_EQ(spansOf(events), (std::vector<PlanSpan>{{10, 20, "small"}, {20, 30, "large"}}));
}

TEST(Lifecycle, aNoteIsReadAsItWasWritten) {
  const auto row = rowOf({100, "tn-1", "plan", "", "small"});
  EXPECT_EQ(row.note, "plan - -> small");
  const auto read = parseLifecycle(row.note);
  ASSERT_TRUE(read);
  EXPECT_EQ(read->what, "plan");
  EXPECT_EQ(read->previous, "");
  EXPECT_EQ(read->current, "small");
  EXPECT_FALSE(parseLifecycle("counter went backwards"));
}

TEST(ImageStorage, eachHourHasARowOfItsOwnAndNoMillisecondIsLost) {
  const auto from = 10 * kHour + 59 * 60 * kSecond;
  const auto to = 12 * kHour + 250 * kMilli;
  const auto rows = imageStorageRows("tn-1", 1000, from, to);
  ASSERT_EQ(rows.size(), 3U);
  auto expected = from;
  std::uint64_t sum = 0;
  for (const auto& row : rows) {
    EXPECT_EQ(row.from, expected);
    EXPECT_EQ(hourOf(row.from), hourOf(row.to - 1));
    EXPECT_EQ(row.meter, Meter::imageStorage);
    EXPECT_EQ(row.tenantId, "tn-1");
    expected = row.to;
    sum += row.quantity;
  }
  EXPECT_EQ(expected, to);
  EXPECT_EQ(sum, 1000U * (3'660'000U + 250U));
  EXPECT_TRUE(imageStorageRows("tn-1", 0, from, to).empty());
  EXPECT_TRUE(imageStorageRows("tn-1", 1000, to, from).empty());
}

}  // namespace
}  // namespace cloister::metering
