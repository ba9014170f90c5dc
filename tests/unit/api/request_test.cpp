#include "api/request.h"

#include <gtest/gtest.h>

#include "api/config.h"

namespace cloister::api {
namespace {

constexpr model::Micros kNow = 1'700'000'000'000'000;

TEST(Time, IsReadAsRfc3339OrAsAnAge) {
  const std::pair<const char*, model::Micros> cases[] = {
      {"2023-11-14T22:13:20Z", kNow},
      {"2023-11-14T23:13:20+01:00", kNow},
      {"2023-11-14T22:13:20.500000Z", kNow + 500'000},
      {"30s", kNow - 30'000'000LL},
      {"10m", kNow - 600'000'000LL},
      {"2h", kNow - 7'200'000'000LL},
      {"1d", kNow - 86'400'000'000LL},
  };
  for (const auto& [text, time] : cases) EXPECT_EQ(parseTime(text, kNow), time) << text;
  for (const char* text : {"", "now", "-1h", "1w", "2023-11-14", "2023-13-14T22:13:20Z", "2023-11-14 22:13:20",
                           "9999999999d", "1700000000", "2023-11-14T22:13:20", "2023-11-14T22:13:20Z;"}) {
    EXPECT_EQ(parseTime(text, kNow), std::nullopt) << text;
  }
}

TEST(Time, IsWrittenInUtcWithMicroseconds) {
  EXPECT_EQ(formatTime(kNow + 42), "2023-11-14T22:13:20.000042Z");
  EXPECT_EQ(formatTime(0), "");
}

TEST(Url, HasThePortOfTheEdgeUnlessItIsTheUsualOne) {
  EXPECT_EQ(urlOf("a.t.localhost", "http://localhost:8080"), "http://a.t.localhost:8080");
  EXPECT_EQ(urlOf("a.t.example.org", "http://localhost"), "http://a.t.example.org");
  EXPECT_EQ(urlOf("a.t.example.org", "https://edge.example.org"), "https://a.t.example.org");
  EXPECT_EQ(urlOf("a.t.example.org", "https://edge.example.org:8443/"), "https://a.t.example.org:8443");
}

}  // namespace
}  // namespace cloister::api
