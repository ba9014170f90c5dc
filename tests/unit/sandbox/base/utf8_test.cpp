// utf8.h.
#include "sandbox/base/utf8.h"

#include <vector>

#include <gtest/gtest.h>

namespace cloister::utf8 {
namespace {

constexpr const char* kWhole = "a\xC3\xA9\xE2\x82\xAC\xF0\x9F\x98\x80z";  // letters of 1, 2, 3, 4 and 1 bytes

TEST(Utf8, TellsLettersFromOtherBytes) {
  for (const char* good : {"", "a", "\x7f", kWhole, "\xEF\xBF\xBD", "\xEF\xBF\xBF", "\xED\x9F\xBF", "\xEE\x80\x80",
                           "\xF4\x8F\xBF\xBF", "\xC2\x80", "\xE0\xA0\x80", "\xF0\x90\x80\x80"}) {
    EXPECT_TRUE(valid(good)) << good;
  }
  EXPECT_TRUE(valid(std::string_view("\0", 1)));
  for (const char* bad : {"\x80", "\xBF", "\xC0\x80", "\xC1\xBF", "\xC3", "\xC3z", "\xE0\x9F\xBF", "\xE2\x82",
                          "\xED\xA0\x80", "\xED\xBF\xBF", "\xF0\x8F\xBF\xBF", "\xF4\x90\x80\x80", "\xF5\x80\x80\x80",
                          "\xF0\x9F\x98", "\xFE", "\xFF", "\xE2\x82z"}) {
    EXPECT_FALSE(valid(bad));
    EXPECT_EQ(goodBytes("ok" + std::string(bad)), 2U);
    EXPECT_TRUE(valid(mended("ok" + std::string(bad) + "ok")));
  }
}

TEST(Utf8, IsCutBetweenLettersOnly) {
  const std::string_view text = kWhole;
  const std::size_t wanted[] = {0, 1, 1, 3, 3, 3, 6, 6, 6, 6, 10, 11, 11};
  for (std::size_t most = 0; most < 13; ++most) {
    EXPECT_EQ(cut(text, most).size(), wanted[most]) << most;
    EXPECT_TRUE(valid(cut(text, most)));
    EXPECT_LE(shortened(text, most + 3).size(), std::max<std::size_t>(most + 3, 3));
    EXPECT_TRUE(valid(shortened(text, most + 3)));
  }
  EXPECT_EQ(shortened(text, 11), text);
  EXPECT_EQ(shortened("abcdefgh", 6), "abc...");
  // What is no letter is cut like any bytes, and takes nothing with it.
  EXPECT_EQ(cut("ab\xFF\xFF\xFF", 4), "ab\xFF\xFF");
  EXPECT_EQ(cut("ab\xC3z", 3), "ab\xC3");
  EXPECT_EQ(cut("\x80\x80\x80\x80\x80", 3), "\x80\x80\x80");
}

TEST(Utf8, MendsPiecesAsItMendsTheWhole) {
  const std::string text = std::string(kWhole) + "\xFF" + kWhole + "\xC3" + kWhole + "\xF0\x9F\x98";
  const auto whole = mended(text);
  EXPECT_TRUE(valid(whole));
  for (std::size_t size = 1; size <= text.size(); ++size) {
    Mender mender;
    std::string out;
    for (std::size_t at = 0; at < text.size(); at += size) {
      const auto piece = mender.feed(std::string_view(text).substr(at, size));
      EXPECT_TRUE(valid(piece));
      out += piece;
    }
    EXPECT_EQ(out + mender.end(), whole) << size;
  }
}

TEST(Utf8, PrintsOneLine) {
  EXPECT_EQ(printable("a\nb\x1b[2J\x7f\xff\xC3\xA9"), "a\uFFFDb\uFFFD[2J\uFFFD\uFFFD\xC3\xA9");
}

TEST(Utf8, MakesAJsonTextThatReadersTake) {
  EXPECT_EQ(jsonText(R"({"a":"b"})"), R"({"a":"b"})");
  EXPECT_EQ(jsonText("{\"a\":\"\xff\"}"), "{\"a\":\"\uFFFD\"}");
  EXPECT_EQ(jsonText("{\"a\":\"\xC3\"}"), "{\"a\":\"\uFFFD\"}");
  EXPECT_EQ(jsonText(R"(["\u0000"])"), "[\"\uFFFD\"]");
  EXPECT_EQ(jsonText(R"(["\\u0000"])"), R"(["\\u0000"])");
  EXPECT_EQ(jsonText(R"(["\\\u0000\n\u0001\\"])"), "[\"\\\\\uFFFD\\n\\u0001\\\\\"]");
  EXPECT_EQ(jsonText("\\"), "\\");
}

TEST(Utf8, SkipsAByteOrderMarkOnce) {
  EXPECT_EQ(withoutMark("\xEF\xBB\xBF.env"), ".env");
  EXPECT_EQ(withoutMark("\xEF\xBB\xBF\xEF\xBB\xBF"), "\xEF\xBB\xBF");
  EXPECT_EQ(withoutMark("\xEF\xBB"), "\xEF\xBB");
}

}  // namespace
}  // namespace cloister::utf8
