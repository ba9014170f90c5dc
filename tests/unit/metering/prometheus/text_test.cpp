#include "metering/prometheus/text.h"

#include <gtest/gtest.h>
#include <prometheus/counter.h>
#include <prometheus/histogram.h>
#include <prometheus/registry.h>
#include <prometheus/summary.h>

#include <cmath>
#include <limits>
#include <random>

namespace cloister::metering {
namespace {

using Limits = std::numeric_limits<double>;

std::string number(double value) {
  std::string out;
  appendNumber(out, value);
  return out;
}

std::string scaled(Quantity quantity, unsigned digits) {
  std::string out;
  appendScaled(out, quantity, digits);
  return out;
}

TEST(Numbers, AreWhatTheyWere) {
  EXPECT_EQ(number(36028797018963968.0), "36028797018963968") << "2^55";
  EXPECT_EQ(number(9007199254740993.0), "9007199254740992") << "2^53 + 1 is no double";
  EXPECT_EQ(number(18446744073709549568.0), "18446744073709549568") << "the double before 2^64";
  EXPECT_EQ(number(-36028797018963968.0), "-36028797018963968");
  EXPECT_EQ(number(0.1), "0.1");
  EXPECT_EQ(number(1.0 / 3), "0.3333333333333333");
  EXPECT_EQ(number(0.1 + 0.2), "0.30000000000000004") << "17 digits where 16 do not tell";
  EXPECT_EQ(number(Limits::quiet_NaN()), "NaN");
  EXPECT_EQ(number(Limits::infinity()), "+Inf");
  EXPECT_EQ(number(-Limits::infinity()), "-Inf");
  EXPECT_EQ(number(0), "0");
}

TEST(Numbers, ReadBackEqual) {
  std::mt19937_64 random(1);
  std::uniform_int_distribution<std::uint64_t> bits;
  for (int i = 0; i < 100'000; ++i) {
    const auto pattern = bits(random);
    double value = 0;
    static_assert(sizeof value == sizeof pattern);
    __builtin_memcpy(&value, &pattern, sizeof value);
    if (std::isnan(value)) continue;
    EXPECT_EQ(std::strtod(number(value).c_str(), nullptr), value) << number(value);
  }
  for (const double edge : {Limits::min(), Limits::max(), Limits::denorm_min(), Limits::epsilon(), std::ldexp(1, 64)}) {
    EXPECT_EQ(std::strtod(number(edge).c_str(), nullptr), edge) << number(edge);
  }
}

TEST(Numbers, ScaledOnesAreExactDecimals) {
  EXPECT_EQ(scaled(0, 9), "0");
  EXPECT_EQ(scaled(1, 9), "0.000000001");
  EXPECT_EQ(scaled(2'500'000'000, 9), "2.5");
  EXPECT_EQ(scaled(3'000'000'000, 9), "3");
  EXPECT_EQ(scaled(1050, 3), "1.05");
  EXPECT_EQ(scaled(7, 0), "7");
  EXPECT_EQ(scaled((1ULL << 53U) + 1, 0), "9007199254740993");
  EXPECT_EQ(scaled(1'000'000'000'000'000'001, 18), "1.000000000000000001");
  EXPECT_EQ(scaled(~Quantity{0}, 0), "340282366920938463463374607431768211455");
  EXPECT_EQ(scaled(~Quantity{0}, 3), "340282366920938463463374607431768211.455");
}

struct Label {
  const char* name;
  std::string value;
  std::string text;
};

class Labels : public testing::TestWithParam<Label> {};
TEST_P(Labels, AreEscaped) {
  std::string out;
  appendLabelValue(out, GetParam().value);
  EXPECT_EQ(out, GetParam().text);
}
INSTANTIATE_TEST_SUITE_P(
    Hostile, Labels,
    testing::Values(Label{"Plain", "tn-1", "tn-1"}, Label{"Quote", "a\"b", R"(a\"b)"},
                    Label{"Backslash", R"(\)", R"(\\)"}, Label{"Newline", "a\nb", R"(a\nb)"},
                    Label{"Nul", std::string("\0", 1), R"(\\x00)"},
                    Label{"Utf8", "\xc3\xa9\xe2\x82\xac\xf0\x9f\x8f\xb0", "\xc3\xa9\xe2\x82\xac\xf0\x9f\x8f\xb0"},
                    Label{"Lone", "\x80z", R"(\\x80z)"}, Label{"Overlong", "\xc0\xaf", R"(\\xc0\\xaf)"},
                    Label{"OverlongOfThree", "\xe0\x80\xaf", R"(\\xe0\\x80\\xaf)"},
                    Label{"Surrogate", "\xed\xa0\x80", R"(\\xed\\xa0\\x80)"},
                    Label{"BeyondUnicode", "\xf4\x90\x80\x80", R"(\\xf4\\x90\\x80\\x80)"},
                    Label{"Cut", "\xe2\x82", R"(\\xe2\\x82)"}),
    [](const auto& test) { return test.param.name; });

std::string registryText(const prometheus::Registry& registry) {
  std::string out;
  appendFamilies(out, registry.Collect());
  return out;
}

TEST(Families, CountersAndGauges) {
  prometheus::Registry registry;
  auto& family = prometheus::BuildCounter().Name("served_total").Help("Served,\nall \\ of \"it\".").Register(registry);
  family.Add({{"code", "2\"00"}}).Increment(std::ldexp(1, 55));
  EXPECT_EQ(registryText(registry),
            "# HELP served_total Served,\\nall \\\\ of \"it\".\n# TYPE served_total counter\n"
            "served_total{code=\"2\\\"00\"} 36028797018963968\n");
}

TEST(Families, HistogramsEndAtInfinity) {
  prometheus::Registry registry;
  auto& family = prometheus::BuildHistogram().Name("took_seconds").Help("Time.").Register(registry);
  auto& took = family.Add({}, prometheus::Histogram::BucketBoundaries{0.5, 1});
  took.Observe(0.25);
  took.Observe(2);
  EXPECT_EQ(registryText(registry),
            "# HELP took_seconds Time.\n# TYPE took_seconds histogram\ntook_seconds_bucket{le=\"0.5\"} 1\n"
            "took_seconds_bucket{le=\"1\"} 1\ntook_seconds_bucket{le=\"+Inf\"} 2\ntook_seconds_sum 2.25\n"
            "took_seconds_count 2\n");
}

TEST(Families, SummariesSayNaNWhenTheyKnowNothing) {
  prometheus::Registry registry;
  auto& family = prometheus::BuildSummary().Name("waited_seconds").Help("Time.").Register(registry);
  family.Add({{"a", "b"}}, prometheus::Summary::Quantiles{{0.5, 0.05}});
  EXPECT_EQ(registryText(registry),
            "# HELP waited_seconds Time.\n# TYPE waited_seconds summary\nwaited_seconds{a=\"b\",quantile=\"0.5\"} NaN\n"
            "waited_seconds_sum{a=\"b\"} 0\nwaited_seconds_count{a=\"b\"} 0\n");
}

}  // namespace
}  // namespace cloister::metering
