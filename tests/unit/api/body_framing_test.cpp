#include "api/body_framing.h"

#include <gtest/gtest.h>

namespace cloister::api {
namespace {

BodyFraming chunked() {
  HttpHead head;
  head.body = BodyKind::chunked;
  return BodyFraming(head);
}

TEST(BodyFraming, ASizedBodyEndsWhereItsHeadSaid) {
  HttpHead head;
  head.body = BodyKind::sized;
  head.length = 5;
  BodyFraming framing(head);
  EXPECT_EQ(framing.take("abc"), 3U);
  EXPECT_FALSE(framing.ended());
  EXPECT_EQ(framing.take("deGET /"), 2U);
  EXPECT_TRUE(framing.ended());
  EXPECT_EQ(framing.take("more"), 0U);
  EXPECT_TRUE(BodyFraming(HttpHead{}).ended());
}

TEST(BodyFraming, ChunksEndAfterTheLastOneAndItsTrailers) {
  const std::string_view good[] = {
      "0\r\n\r\n",
      "3\r\nabc\r\n0\r\n\r\n",
      "0000000a;ext=\"a b\"\r\n0123456789\r\nA\r\n0123456789\r\n000\r\n\r\n",
      "1\r\na\r\n0\r\nTrailer: b\r\nOther: c\r\n\r\n",
  };
  for (const auto bytes : good) {
    for (std::size_t step = 1; step <= bytes.size(); ++step) {
      auto framing = chunked();
      std::size_t taken = 0;
      for (std::size_t at = 0; at < bytes.size(); at += step) taken += framing.take(bytes.substr(at, step));
      EXPECT_EQ(taken, bytes.size()) << bytes;
      EXPECT_TRUE(framing.ended()) << bytes;
      EXPECT_EQ(framing.fault(), "") << bytes;
    }
    auto framing = chunked();
    EXPECT_EQ(framing.take(std::string(bytes) + "GET / HTTP/1.1"), bytes.size());
  }
}

TEST(BodyFraming, RefusesChunksThatAnotherReaderWouldTakeOtherwise) {
  const std::string_view bad[] = {
      "zzz\r\n",        "\r\n",       "-1\r\n",          "+1\r\na\r\n",       "0x1\r\na\r\n", " 1\r\na\r\n",
      "1 \r\na\r\n",    "1\na\r\n",   "1\r\nab\r\n",     "1\r\na\n0\r\n\r\n", "1\r\na\rb",    "123456789\r\n",
      "1\ra\r\n",       "1;a\nb\r\n", "1;\x01\r\na\r\n", "0\r\nA: b\n\r\n",   "0\r\n\rx",     "0\r\nA\x7f\r\n\r\n",
      "1\r\na\r\n\r\n", ";a\r\n",     "1\r\r\na\r\n",    "fffffffff\r\n",     "1,1\r\na\r\n",
  };
  for (const auto bytes : bad) {
    auto framing = chunked();
    EXPECT_LT(framing.take(bytes), bytes.size()) << bytes;
    EXPECT_FALSE(framing.ended()) << bytes;
    EXPECT_NE(framing.fault(), "") << bytes;
  }
}

TEST(BodyFraming, ExtensionsAndTrailersHaveABound) {
  auto framing = chunked();
  const std::string chunk = "1;" + std::string(100, 'a') + "\r\nx\r\n";
  std::string bytes;
  for (int i = 0; i < 100; ++i) bytes += chunk;
  EXPECT_LT(framing.take(bytes), bytes.size());
  EXPECT_NE(framing.fault(), "");
}

}  // namespace
}  // namespace cloister::api
