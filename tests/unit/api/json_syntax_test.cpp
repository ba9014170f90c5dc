#include "api/json_syntax.h"

#include <gtest/gtest.h>

namespace cloister::api {
namespace {

TEST(JsonSyntax, TakesWhatIsJson) {
  for (const char* text : {"{}", "[]", " {\"a\": [1, -2.5e+3, true, false, null, \"\\u00e9\\n\"]} \n", "\"x\"", "0",
                           "-0.1", "{\"a\": {\"a\": 1}}", "\"\xf0\x9f\x98\x80\""}) {
    EXPECT_FALSE(checkJsonSyntax(text).has_value()) << text << ": " << checkJsonSyntax(text)->reason;
  }
}

TEST(JsonSyntax, RefusesTheRestAndSaysWhere) {
  struct Case {
    std::string text;
    std::size_t line;
    std::size_t column;
  };
  const Case cases[] = {
      {"", 1, 1},
      {"{", 1, 2},
      {"{\"a\" 1}", 1, 6},
      {"{\"a\": 1,}", 1, 9},
      {"{\n  \"a\": 1\n  \"b\": 2\n}", 3, 3},
      {"[1 2]", 1, 4},
      {"[01]", 1, 3},
      {"[+1]", 1, 2},
      {"[1.]", 1, 4},
      {"[.5]", 1, 2},
      {"[NaN]", 1, 2},
      {"[nul]", 1, 2},
      {"{} {}", 1, 4},
      {"{a: 1}", 1, 2},
      {"['a']", 1, 2},
      {"[\"a\nb\"]", 1, 4},
      {"[\"\\x\"]", 1, 4},
      {"[\"\\u12g4\"]", 1, 4},
      {"[\"\\u12", 1, 7},
      {"[\"\\u0000\"]", 1, 4},
      {"[\"\xff\"]", 1, 3},
      {"[\"\xc0\xaf\"]", 1, 3},          // an overlong slash
      {"[\"\xed\xa0\x80\"]", 1, 3},      // a surrogate
      {"[\"\xf4\x90\x80\x80\"]", 1, 3},  // beyond U+10FFFF
      {"[\"\xe2\x82", 1, 3},             // cut
      {"{\"a\": 1, \"a\": 2}", 1, 10},
      {"[9999999999999999999999]", 1, 2},
      {"// x\n{}", 1, 1},
  };
  for (const auto& one : cases) {
    const auto fault = checkJsonSyntax(one.text);
    ASSERT_TRUE(fault.has_value()) << one.text;
    EXPECT_EQ(fault->line, one.line) << one.text << ": " << fault->reason;
    EXPECT_EQ(fault->column, one.column) << one.text << ": " << fault->reason;
    EXPECT_FALSE(fault->reason.empty());
  }
}

TEST(JsonSyntax, BoundsTheDepth) {
  EXPECT_FALSE(checkJsonSyntax(std::string(kMaxJsonDepth, '[') + std::string(kMaxJsonDepth, ']')).has_value());
  EXPECT_TRUE(checkJsonSyntax(std::string(kMaxJsonDepth + 1, '[')).has_value());
  EXPECT_TRUE(checkJsonSyntax(std::string(1'000'000, '[')).has_value());
  std::string objects;
  for (int i = 0; i < 100'000; ++i) objects += "{\"a\":";
  EXPECT_TRUE(checkJsonSyntax(objects).has_value());
}

}  // namespace
}  // namespace cloister::api
