#include "api/http_head.h"

#include <gtest/gtest.h>

#include <string>

namespace cloister::api {
namespace {

const std::string kHost = "Host: x\r\n";

// As if it came byte by byte, which must make no difference.
HeadState readSlowly(HeadReader& reader, const std::string& bytes) {
  for (std::size_t size = 0; size < bytes.size(); ++size) {
    const auto state = reader.read(std::string_view(bytes).substr(0, size));
    if (state != HeadState::more) return state;
  }
  return reader.read(bytes);
}

struct Refused {
  const char* what;
  std::string bytes;
  int status;
};

TEST(HttpHead, RefusesWhatTwoReadersCouldUnderstandInTwoWays) {
  const std::string post = "POST / HTTP/1.1\r\n" + kHost;
  const std::string get = "GET / HTTP/1.1\r\n" + kHost;
  const Refused cases[] = {
      {"two lengths", post + "Content-Length: 2\r\nContent-Length: 2\r\n\r\n", 400},
      {"two lengths in two spellings", post + "Content-Length: 2\r\ncontent-length: 3\r\n\r\n", 400},
      {"a list of lengths", post + "Content-Length: 2, 2\r\n\r\n", 400},
      {"a sign before a length", post + "Content-Length: +2\r\n\r\n", 400},
      {"a negative length", post + "Content-Length: -2\r\n\r\n", 400},
      {"a hexadecimal length", post + "Content-Length: 0x2\r\n\r\n", 400},
      {"a length with a point", post + "Content-Length: 2.0\r\n\r\n", 400},
      {"a length with a blank inside", post + "Content-Length: 2 3\r\n\r\n", 400},
      {"an empty length", post + "Content-Length:\r\n\r\n", 400},
      {"a length beyond 64 bits", post + "Content-Length: 99999999999999999999\r\n\r\n", 413},
      {"length and coding", post + "Content-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n", 400},
      {"coding and length", post + "Transfer-Encoding: chunked\r\nContent-Length: 2\r\n\r\n", 400},
      {"another coding before", post + "Transfer-Encoding: gzip, chunked\r\n\r\n", 400},
      {"another coding", post + "Transfer-Encoding: gzip\r\n\r\n", 400},
      {"chunked twice", post + "Transfer-Encoding: chunked, chunked\r\n\r\n", 400},
      {"two codings", post + "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n", 400},
      {"a coding with quotes", post + "Transfer-Encoding: \"chunked\"\r\n\r\n", 400},
      {"a coding with a parameter", post + "Transfer-Encoding: chunked;a=b\r\n\r\n", 400},
      {"identity", post + "Transfer-Encoding: identity\r\n\r\n", 400},
      {"an empty coding", post + "Transfer-Encoding:\r\n\r\n", 400},
      {"a coding with a vertical tab",
       post + "Transfer-Encoding: \x0b"
              "chunked\r\n\r\n",
       400},
      {"a coding in HTTP/1.0", "POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n", 400},
      {"TE that means Transfer-Encoding", post + "TE: gzip, chunked\r\n\r\n", 400},
      {"a blank before the colon", post + "Transfer-Encoding : chunked\r\n\r\n", 400},
      {"a tab before the colon", post + "Content-Length\t: 2\r\n\r\n", 400},
      {"a folded line", post + "A: b\r\n c\r\n\r\n", 400},
      {"a folded first line", "GET / HTTP/1.1\r\n Host: x\r\n\r\n", 400},
      {"lines that end with LF", "GET / HTTP/1.1\nHost: x\n\n", 400},
      {"one line that ends with LF", get + "A: b\nC: d\r\n\r\n", 400},
      {"a CR inside of a line", get + "A: b\rC: d\r\n\r\n", 400},
      {"two CR", get + "A: b\r\r\n\r\n", 400},
      {"a NUL in a value", get + std::string("A: b\0c\r\n\r\n", 10), 400},
      {"a NUL in the URL", std::string("GET /\0 HTTP/1.1\r\n", 17) + kHost + "\r\n", 400},
      {"a control character", get + "A: \x01\r\n\r\n", 400},
      {"DEL", get + "A: \x7f\r\n\r\n", 400},
      {"a byte that is no UTF-8", get + "A: k\xff\r\n\r\n", 400},
      {"a header without a colon", get + "Nothing\r\n\r\n", 400},
      {"a header without a name", get + ": b\r\n\r\n", 400},
      {"a name with a blank", get + "A b: c\r\n\r\n", 400},
      {"a name that is no token", get + "A(b): c\r\n\r\n", 400},
      {"a name beyond ASCII", get + "\xc3\xa4: c\r\n\r\n", 400},
      {"no host", "GET / HTTP/1.1\r\n\r\n", 400},
      {"two hosts", get + kHost + "\r\n", 400},
      {"a host with a comma", "GET / HTTP/1.1\r\nHost: a, b\r\n\r\n", 400},
      {"two tokens", get + "Authorization: Bearer a\r\nAuthorization: Bearer b\r\n\r\n", 400},
      {"no version", "GET /\r\n" + kHost + "\r\n", 400},
      {"two blanks", "GET  / HTTP/1.1\r\n" + kHost + "\r\n", 400},
      {"a tab between", "GET\t/\tHTTP/1.1\r\n" + kHost + "\r\n", 400},
      {"an empty first line", "\r\n\r\n", 400},
      {"a version in small letters", "GET / http/1.1\r\n" + kHost + "\r\n", 400},
      {"a version of our time", "GET / HTTP/2.0\r\n" + kHost + "\r\n", 505},
      {"the preface of HTTP/2", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 505},
      {"a TLS hello", "\x16\x03\x01\x02", 400},
      {"a URL beyond ASCII", "GET /\xff HTTP/1.1\r\n" + kHost + "\r\n", 400},
      {"a fragment", "GET /#a HTTP/1.1\r\n" + kHost + "\r\n", 400},
      {"a URL without a host", "GET http:///a HTTP/1.1\r\n" + kHost + "\r\n", 400},
      {"a path without a slash", "GET a HTTP/1.1\r\n" + kHost + "\r\n", 400},
      {"a body with Upgrade", post + "Upgrade: websocket\r\nContent-Length: 2\r\n\r\n", 400},
      {"another expectation", post + "Expect: 200-ok\r\n\r\n", 417},
      {"a URL of 17 kB", "GET /" + std::string(17'000, 'a') + " HTTP/1.1\r\n" + kHost + "\r\n", 414},
      {"a URL without an end", "GET /" + std::string(17'000, 'a'), 414},
      {"a value of 9 kB", get + "A: " + std::string(9'000, 'a') + "\r\n\r\n", 431},
      {"a name of 300 bytes", get + std::string(300, 'a') + ": b\r\n\r\n", 431},
  };
  for (const auto& one : cases) {
    for (const bool slowly : {false, true}) {
      HeadReader reader;
      EXPECT_EQ(slowly ? readSlowly(reader, one.bytes) : reader.read(one.bytes), HeadState::refused) << one.what;
      EXPECT_EQ(reader.refusal().status, one.status) << one.what;
      EXPECT_FALSE(reader.refusal().detail.empty()) << one.what;
    }
  }
}

TEST(HttpHead, RefusesTooManyHeadersAndTooLargeHeads) {
  std::string many = "GET / HTTP/1.1\r\n" + kHost;
  for (int i = 0; i < 101; ++i) many += "A: b\r\n";
  HeadReader reader;
  EXPECT_EQ(reader.read(many), HeadState::refused);
  EXPECT_EQ(reader.refusal().status, 431);
  std::string large = "GET / HTTP/1.1\r\n" + kHost;
  for (int i = 0; i < 9; ++i) large += "A: " + std::string(7'900, 'a') + "\r\n";
  HeadReader other;
  EXPECT_EQ(other.read(large), HeadState::refused);
  EXPECT_EQ(other.refusal().status, 431);
}

struct Taken {
  std::string bytes;
  std::string target;
  BodyKind body;
  std::uint64_t length;
};

TEST(HttpHead, TakesWhatClientsSend) {
  const Taken cases[] = {
      {"GET /v1/apps?a=b HTTP/1.1\r\n" + kHost + "\r\n", "/v1/apps?a=b", BodyKind::none, 0},
      {"GET / HTTP/1.0\r\n\r\n", "/", BodyKind::none, 0},
      {"POST / HTTP/1.1\r\n" + kHost + "Content-Length: 12\r\n\r\n", "/", BodyKind::sized, 12},
      {"POST / HTTP/1.1\r\n" + kHost + "content-length:\t0012 \r\n\r\n", "/", BodyKind::sized, 12},
      {"POST / HTTP/1.1\r\n" + kHost + "Content-Length: 0\r\n\r\n", "/", BodyKind::none, 0},
      {"POST / HTTP/1.1\r\n" + kHost + "Transfer-Encoding: Chunked\r\n\r\n", "/", BodyKind::chunked, 0},
      {"GET http://a.example:80/b?c HTTP/1.1\r\n" + kHost + "\r\n", "/b?c", BodyKind::none, 0},
      {"GET http://a.example HTTP/1.1\r\n" + kHost + "\r\n", "/", BodyKind::none, 0},
      {"GET / HTTP/1.1\r\n" + kHost + "TE: trailers, deflate;q=0.5\r\n\r\n", "/", BodyKind::none, 0},
      {"GET / HTTP/1.1\r\n" + kHost + "A: \xc3\xa4\r\nB:\r\n\r\n", "/", BodyKind::none, 0},
  };
  for (const auto& one : cases) {
    HeadReader reader;
    ASSERT_EQ(readSlowly(reader, one.bytes), HeadState::whole) << one.bytes << reader.refusal().detail;
    EXPECT_EQ(reader.head().target, one.target);
    EXPECT_EQ(reader.head().body, one.body) << one.bytes;
    EXPECT_EQ(reader.head().length, one.length) << one.bytes;
    EXPECT_EQ(reader.head().taken, one.bytes.size());
    EXPECT_TRUE(reader.head().bytes.ends_with("\r\n\r\n"));
  }
}

TEST(HttpHead, StopsAtItsEnd) {
  const std::string first = "GET /a HTTP/1.1\r\n" + kHost + "Authorization: Bearer t\r\n\r\n";
  HeadReader reader;
  ASSERT_EQ(reader.read(first + "GET /b HTTP/1.1\r\n"), HeadState::whole);
  EXPECT_EQ(reader.head().taken, first.size());
  EXPECT_EQ(reader.head().bytes, first);
  EXPECT_EQ(reader.head().authorization, "Bearer t");
}

}  // namespace
}  // namespace cloister::api
