#include "metering/base/batch_json.h"

#include <gtest/gtest.h>

namespace cloister::metering {
namespace {

UsageBatch sample() {
  return {"nd-1",
          7,
          "boot-a",
          {{"tn-1", "ap-1", "in-1", Meter::cpu, 1000, 10, 20, ""},
           {"tn-1", "", "", Meter::gap, 5, 10, 20, "a \"reason\" \\ with é"}}};
}

std::string row(const std::string& fields) {
  return R"({"source": "n", "sequence": 1, "bootId": "b", "rows": [{)" + fields + "}]}";
}
const std::string kGoodRow = R"("tenant": "t", "meter": "cpu", "quantity": "1", "from": 1, "to": 2)";

TEST(BatchJson, RoundTrip) {
  const auto back = usageBatchFromJson(toJson(sample()));
  ASSERT_TRUE(back.ok()) << back.error().message();
  EXPECT_EQ(back->source, "nd-1");
  EXPECT_EQ(back->sequence, 7U);
  EXPECT_EQ(back->bootId, "boot-a");
  ASSERT_EQ(back->rows.size(), 2U);
  EXPECT_EQ(back->rows[0].tenantId, "tn-1");
  EXPECT_EQ(back->rows[0].appId, "ap-1");
  EXPECT_EQ(back->rows[0].instanceId, "in-1");
  EXPECT_EQ(back->rows[0].quantity, 1000U);
  EXPECT_EQ(back->rows[0].from, 10);
  EXPECT_EQ(back->rows[0].to, 20);
  EXPECT_EQ(back->rows[1].meter, Meter::gap);
  EXPECT_EQ(back->rows[1].note, "a \"reason\" \\ with é");
}

TEST(BatchJson, EveryMeterAndAnEmptyBatchSurvive) {
  auto batch = sample();
  batch.rows.clear();
  for (int i = 0; i <= static_cast<int>(kLastMeter); ++i) {
    batch.rows.push_back({"t", "", "", static_cast<Meter>(i), 1, 0, 1, ""});
  }
  auto back = usageBatchFromJson(toJson(batch));
  ASSERT_TRUE(back.ok());
  for (std::size_t i = 0; i < batch.rows.size(); ++i) EXPECT_EQ(back->rows[i].meter, batch.rows[i].meter);
  batch.rows.clear();
  back = usageBatchFromJson(toJson(batch));
  ASSERT_TRUE(back.ok());
  EXPECT_TRUE(back->rows.empty());
}

TEST(BatchJson, SixtyFourBitsSurviveAsStringsAndAsIntegers) {
  for (const std::uint64_t quantity :
       {std::uint64_t{1} << 53U | 1U, std::uint64_t{1'000'000'000'000'000'001}, std::uint64_t{1} << 63U, UINT64_MAX}) {
    auto batch = sample();
    batch.rows[0].quantity = quantity;
    auto back = usageBatchFromJson(toJson(batch));
    ASSERT_TRUE(back.ok());
    EXPECT_EQ(back->rows[0].quantity, quantity);
    back = usageBatchFromJson(
        row(R"("tenant": "t", "meter": "cpu", "from": 1, "to": 2, "quantity": )" + std::to_string(quantity)));
    if (quantity > INT64_MAX) {
      ASSERT_FALSE(back.ok());
      continue;
    }
    ASSERT_TRUE(back.ok()) << back.error().message();
    EXPECT_EQ(back->rows[0].quantity, quantity);
  }
}

TEST(BatchJson, HostileInputIsRefusedByField) {
  const std::string rows = R"(, "rows": [])";
  const struct {
    std::string text;
    const char* field;
  } cases[] = {
      {"", ""},
      {"{", ""},
      {"[]", ""},
      {"7", ""},
      {"null", ""},
      {R"({"source": "n")", ""},
      {"{}", "source"},
      {R"({"source": "n", "sequence": 1, "bootId": "b"})", "rows"},
      {R"({"source": 1, "sequence": 1, "bootId": "b")" + rows + "}", "source"},
      {R"({"source": "", "sequence": 1, "bootId": "b")" + rows + "}", "source"},
      {R"({"source": "n", "source": "m", "sequence": 1, "bootId": "b")" + rows + "}", "source"},
      {R"({"source": "n", "sequence": 0, "bootId": "b")" + rows + "}", "sequence"},
      {R"({"source": "n", "sequence": -1, "bootId": "b")" + rows + "}", "sequence"},
      {R"({"source": "n", "sequence": 1.5, "bootId": "b")" + rows + "}", "sequence"},
      {R"({"source": "n", "sequence": 1e3, "bootId": "b")" + rows + "}", "sequence"},
      {R"({"source": "n", "sequence": "1 ", "bootId": "b")" + rows + "}", "sequence"},
      {R"({"source": "n", "sequence": "0x1", "bootId": "b")" + rows + "}", "sequence"},
      {R"({"source": "n", "sequence": "9223372036854775808", "bootId": "b")" + rows + "}", "sequence"},
      {R"({"source": "n", "sequence": true, "bootId": "b")" + rows + "}", "sequence"},
      {R"({"source": "n", "sequence": 1, "bootId": null)" + rows + "}", "bootId"},
      {R"({"source": "n", "sequence": 1, "bootId": "b", "rows": {}})", "rows"},
      {R"({"source": "n", "sequence": 1, "bootId": "b", "rows": "x"})", "rows"},
      {R"({"source": "n", "sequence": 1, "bootId": "b", "rows": [7]})", "rows[0]"},
      {R"({"source": "n", "sequence": 1, "bootId": "b", "rows": [[]]})", "rows[0]"},
      {R"({"source": "n", "sequence": 1, "bootId": "b", "extra": 1)" + rows + "}", "extra"},
      {row(""), "rows[0].tenant"},
      {row(kGoodRow + R"(, "colour": "red")"), "rows[0].colour"},
      {row(kGoodRow + R"(, "tenant": "u")"), "rows[0].tenant"},
      {row(kGoodRow + R"(, "app": {"a": 1})"), "rows[0].app"},
      {row(kGoodRow + R"(, "note": "line\nline")"), "rows[0].note"},
      {row(R"("tenant": "", "meter": "cpu", "quantity": "1", "from": 1, "to": 2)"), "rows[0].tenant"},
      {row(R"("tenant": "t", "meter": "CPU", "quantity": "1", "from": 1, "to": 2)"), "rows[0].meter"},
      {row(R"("tenant": "t", "meter": 1, "quantity": "1", "from": 1, "to": 2)"), "rows[0].meter"},
      {row(R"("tenant": "t", "meter": "cpu", "quantity": "-1", "from": 1, "to": 2)"), "rows[0].quantity"},
      {row(R"("tenant": "t", "meter": "cpu", "quantity": "", "from": 1, "to": 2)"), "rows[0].quantity"},
      {row(R"("tenant": "t", "meter": "cpu", "quantity": "18446744073709551616", "from": 1, "to": 2)"),
       "rows[0].quantity"},
      {row(R"("tenant": "t", "meter": "cpu", "quantity": 18446744073709551616, "from": 1, "to": 2)"),
       "rows[0].quantity"},
      {row(R"("tenant": "t", "meter": "cpu", "quantity": 18446744073709551621, "from": 1, "to": 2)"), ""},
      {row(R"("tenant": "t", "meter": "cpu", "quantity": "1", "from": 2, "to": 2)"), "rows[0].to"},
      {row(R"("tenant": "t", "meter": "cpu", "quantity": "1", "from": -5, "to": 2)"), "rows[0].from"},
      {row(R"("tenant": "t", "meter": "cpu", "quantity": "1", "from": 1, "to": "9223372036854775808")"), "rows[0].to"},
      {row(kGoodRow + "}, {" + R"("tenant": "t", "meter": "cpu", "quantity": "1", "from": 1)"), "rows[1].to"},
      {row(R"("tenant": ")" + std::string(kMaxText + 1, 'x') + R"(", "meter": "cpu")"), "rows[0].tenant"},
      {row(kGoodRow) + "{}", ""},
      {std::string(100'000, '['), ""},
  };
  for (const auto& [text, field] : cases) {
    const auto batch = usageBatchFromJson(text);
    ASSERT_FALSE(batch.ok()) << text.substr(0, 200);
    EXPECT_EQ(batch.error().path, field) << text.substr(0, 200) << " -> " << batch.error().message();
  }
}

TEST(BatchJson, TooManyRowsAreRefused) {
  UsageBatch batch{"n", 1, "b", {}};
  batch.rows.assign(kMaxRows, {"t", "", "", Meter::cpu, 1, 0, 1, ""});
  EXPECT_TRUE(usageBatchFromJson(toJson(batch)).ok());
  batch.rows.push_back(batch.rows.front());
  const auto refused = usageBatchFromJson(toJson(batch));
  ASSERT_FALSE(refused.ok());
  EXPECT_EQ(refused.error().path, "rows");
}

}  // namespace
}  // namespace cloister::metering
