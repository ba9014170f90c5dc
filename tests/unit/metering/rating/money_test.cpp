#include "metering/rating/money.h"

#include <gtest/gtest.h>

#include "metering/base/calendar.h"

namespace cloister::metering {
namespace {

TEST(Money, textAndValueAreOneAnother) {
  for (const Money money : {0LL, 1LL, -1LL, 1'000'000LL, 12'340'000LL, -999'999LL, 9'000'000'000'000'000'000LL}) {
    EXPECT_EQ(parseMoney(moneyText(money)), money) << moneyText(money);
  }
  EXPECT_EQ(moneyText(1), "0.000001");
  EXPECT_EQ(moneyText(-12'500'000), "-12.5");
  EXPECT_EQ(unitPriceText(12'000'001), "0.012000001");
}

TEST(Money, whatIsNoPlainDecimalIsRefused) {
  for (const auto* text : {"", "-", ".", "1.", ".5", "1e3", "+1", " 1", "1 ", "1,5", "0x1", "1.0000001", "--1",
                           "9223372036854.775808", "99999999999999999999", "\xd9\xa1"}) {
    EXPECT_FALSE(parseMoney(text)) << text;
  }
  EXPECT_FALSE(parseUnitPrice("-1"));
  EXPECT_FALSE(parseUnitPrice("0.0000000001"));
}

TEST(Money, roundsToTheNearestAndHalvesUp) {
  EXPECT_EQ(roundedCost(14, 10), 1);
  EXPECT_EQ(roundedCost(15, 10), 2);
  EXPECT_EQ(roundedCost(16, 10), 2);
  EXPECT_EQ(roundedCost(0, 10), 0);
  EXPECT_EQ(roundedCost(Quantity{INT64_MAX} * 3, 3), INT64_MAX);
  EXPECT_FALSE(roundedCost(Quantity{INT64_MAX} * 3 + 3, 3));
  EXPECT_EQ(share(100, 1, 3), 33);
  EXPECT_EQ(share(1, 1, 2), 1);
  EXPECT_EQ(share(-1, 1, 2), -1);
  EXPECT_EQ(share(INT64_MAX, 1'000'000, 1'000'000), INT64_MAX);
}

TEST(Money, quantitiesAreShownInUnitsWithoutRoundingUp) {
  EXPECT_EQ(unitsText(3'600'000'000'000, 3'600'000'000'000, 6), "1");
  EXPECT_EQ(unitsText(1, 3, 4), "0.3333");
  EXPECT_EQ(unitsText(1'999'999'999, 1'000'000'000, 6), "1.999999");
}

TEST(Calendar, monthsEndWhereTheNextBegins) {
  const auto february = parseMonth("2028-02");
  ASSERT_TRUE(february);
  EXPECT_EQ(utcText(february->from), "2028-02-01T00:00:00Z");
  EXPECT_EQ(utcText(february->to), "2028-03-01T00:00:00Z");
  EXPECT_EQ((february->to - february->from) / kHour, 29 * 24);
  EXPECT_EQ(monthOf(february->to - 1), *february);
  EXPECT_EQ(monthOf(parseMonth("2026-12")->to), *parseMonth("2027-01"));
}

TEST(Calendar, momentsAreReadAsTheyAreWritten) {
  for (const auto* text : {"2026-11-26T08:15:29Z", "1969-12-31T23:59:59Z", "2026-01-01T00:00:00.000001Z"}) {
    ASSERT_TRUE(parseUtc(text)) << text;
    EXPECT_EQ(utcText(*parseUtc(text)), text);
  }
  for (const auto* text : {"2026-11-26", "2026-11-26T08:15:29", "2026-13-01T00:00:00Z", "2026-02-30T00:00:00Z",
                           "2026-11-26T24:00:00Z", "2026-11-26T08:15:29+01:00", "2026-11-26T08:15:29.Z", "x"}) {
    EXPECT_FALSE(parseUtc(text)) << text;
  }
  EXPECT_EQ(hourOf(-1), -kHour);
}

}  // namespace
}  // namespace cloister::metering
