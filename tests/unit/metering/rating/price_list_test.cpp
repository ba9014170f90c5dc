#include "metering/rating/price_list.h"

#include <gtest/gtest.h>

namespace cloister::metering {
namespace {

constexpr const char* kGood =
    R"({"name": "2026", "currency": "EUR", "from": "2026-01-01T00:00:00Z", "minimum": "5", "items": [
        {"sku": "cpu", "meter": "cpu", "unit": "core-hour", "included": 10,
         "tiers": [{"up_to": 1000, "price": "0.012"}, {"from": 1000, "price": "0.009"}]}],
        "plans": [{"plan": "small", "fee": "9", "transfer_gb": 500, "over_transfer": "throttle"}],
        "taxes": [{"name": "VAT", "percent": "19"}]})";

std::string with(const std::string& what, const std::string& instead) {
  std::string text = kGood;
  const auto at = text.find(what);
  EXPECT_NE(at, std::string::npos) << what;
  return text.replace(at, what.size(), instead);
}

TEST(PriceList, readsWhatItWrites) {
  const auto list = priceListFromJson(kGood);
  ASSERT_TRUE(list) << list.error().message();
  EXPECT_EQ(list->items.at(0).tiers.at(1).price, 9'000'000);
  EXPECT_EQ(list->plans.at(0).transferBytes, 500'000'000'000U);
  EXPECT_EQ(list->taxes.at(0).partsPerMillion, 190'000U);
  const auto again = priceListFromJson(toJson(*list));
  ASSERT_TRUE(again) << again.error().message();
  EXPECT_EQ(*again, *list);
  EXPECT_EQ(toJson(*again), toJson(*list));
}

struct BadList {
  const char* what;
  const char* instead;
  const char* field;
};
class BadPriceList : public testing::TestWithParam<BadList> {};

TEST_P(BadPriceList, isRefusedWithTheField) {
  const auto list = priceListFromJson(with(GetParam().what, GetParam().instead));
  ASSERT_FALSE(list) << GetParam().instead;
  EXPECT_EQ(list.error().path, GetParam().field) << list.error().message();
}

INSTANTIATE_TEST_SUITE_P(
    EachField, BadPriceList,
    testing::Values(BadList{R"("currency": "EUR")", R"("currency": "eur")", "currency"},
                    BadList{R"("currency": "EUR")", R"("currency": 7)", "currency"},
                    BadList{R"("name": "2026")", R"("name": "")", "name"},
                    BadList{R"("name": "2026")", R"("name": "a\u0000b")", "name"},
                    BadList{R"("name": "2026", )", "", "name"},
                    BadList{"2026-01-01T00:00:00Z", "2026-01-01T00:30:00Z", "from"},
                    BadList{"2026-01-01T00:00:00Z", "2026-02-31T00:00:00Z", "from"},
                    BadList{R"("minimum": "5")", R"("minimum": "-5")", "minimum"},
                    BadList{R"("minimum": "5")", R"("minimum": 5.0)", "minimum"},
                    BadList{R"("minimum": "5")", R"("minimal": "5")", "minimal"},
                    BadList{R"("from": 1000)", R"("from": 1001)", "items[0].tiers[1].from"},
                    BadList{R"("from": 1000)", R"("from": 999)", "items[0].tiers[1].from"},
                    BadList{R"("from": 1000, )", R"("up_to": 1000, )", "items[0].tiers[1].up_to"},
                    BadList{R"("from": 1000, )", R"("up_to": 2000, )", "items[0].tiers"},
                    BadList{R"("up_to": 1000, )", "", "items[0].tiers[1].up_to"},
                    BadList{R"("price": "0.009")", R"("price": "-0.009")", "items[0].tiers[1].price"},
                    BadList{R"("price": "0.009")", R"("price": 0.009)", "items[0].tiers[1].price"},
                    BadList{R"("price": "0.009")", R"("price": "0.0000000009")", "items[0].tiers[1].price"},
                    BadList{R"("meter": "cpu")", R"("meter": "memory_peak")", "items[0].meter"},
                    BadList{R"("meter": "cpu")", R"("meter": "gpu")", "items[0].meter"},
                    BadList{R"("unit": "core-hour")", R"("unit": "gib-hour")", "items[0].unit"},
                    BadList{R"("unit": "core-hour")", R"("unit": "hour")", "items[0].unit"},
                    BadList{R"("sku": "cpu")", R"("sku": "minimum")", "items[0].sku"},
                    BadList{R"("included": 10)", R"("included": -1)", "items[0].included"},
                    BadList{R"("included": 10)", R"("included": 1.5)", "items[0].included"},
                    BadList{R"("included": 10)", R"("included": 18446744073709551615)", "items[0].included"},
                    BadList{R"("over_transfer": "throttle")", R"("over_transfer": "kill")", "plans[0].over_transfer"},
                    BadList{R"("transfer_gb": 500, )", "", "plans[0].over_transfer"},
                    BadList{R"("percent": "19")", R"("percent": "101")", "taxes[0].percent"},
                    BadList{R"("percent": "19")", R"("percent": "0.00001")", "taxes[0].percent"},
                    BadList{R"("taxes": [{)", R"("taxes": [7, {)", "taxes[0]"},
                    BadList{R"("taxes": [{)", R"("taxes": [{"name": "VAT", "percent": "1"}, {)", "taxes"}));

TEST(PriceList, isNoJsonIsAnErrorToo) {
  for (const auto* text : {"", "[]", "{", "null", "7", "\"x\""}) EXPECT_FALSE(priceListFromJson(text)) << text;
}

PriceList listOf(const std::string& name, const char* from, const char* to) {
  PriceList list;
  list.name = name;
  list.currency = "EUR";
  list.from = parseUtc(from).value();
  if (to != nullptr) list.to = parseUtc(to).value();
  return list;
}

TEST(PriceBook, anOpenListEndsWhereTheNextBegins) {
  PriceBook book;
  ASSERT_TRUE(addTo(book, listOf("a", "2026-01-01T00:00:00Z", nullptr)));
  ASSERT_TRUE(addTo(book, listOf("b", "2026-07-01T00:00:00Z", nullptr)));
  EXPECT_EQ(utcText(book.at(0).to), "2026-07-01T00:00:00Z");
  EXPECT_EQ(firstGap(book, *parseMonth("2026-07")), parseMonth("2026-07")->to);
}

TEST(PriceBook, overlapsAndDoublesAreRefusedAndChangeNothing) {
  PriceBook book;
  ASSERT_TRUE(addTo(book, listOf("a", "2026-01-01T00:00:00Z", "2026-06-01T00:00:00Z")));
  const PriceBook before = book;
  EXPECT_EQ(addTo(book, listOf("b", "2026-05-01T00:00:00Z", nullptr)).error().path, "from");
  EXPECT_EQ(addTo(book, listOf("a", "2026-06-01T00:00:00Z", nullptr)).error().path, "name");
  auto dollars = listOf("c", "2026-06-01T00:00:00Z", nullptr);
  dollars.currency = "USD";
  EXPECT_EQ(addTo(book, dollars).error().path, "currency");
  EXPECT_EQ(book, before);
}

TEST(PriceBook, aGapIsFound) {
  PriceBook book;
  ASSERT_TRUE(addTo(book, listOf("a", "2026-01-01T00:00:00Z", "2026-01-10T00:00:00Z")));
  ASSERT_TRUE(addTo(book, listOf("b", "2026-01-11T00:00:00Z", nullptr)));
  EXPECT_EQ(utcText(firstGap(book, *parseMonth("2026-01"))), "2026-01-10T00:00:00Z");
  EXPECT_EQ(firstGap(book, *parseMonth("2026-02")), parseMonth("2026-02")->to);
}

}  // namespace
}  // namespace cloister::metering
