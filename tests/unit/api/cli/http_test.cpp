#include "api/cli/http.h"

#include <Poco/Net/NetException.h>
#include <Poco/Net/WebSocket.h>
#include <gtest/gtest.h>

#include <sstream>

#include "api/cli/event_stream.h"
#include "api/cli/log_resume.h"
#include "tests/unit/api/cli/test_server.h"

namespace cloister::cli {
namespace {

using test::Asked;
using test::TestServer;
using ServerRequest = TestServer::Request;
using Answer = TestServer::Answer;

constexpr Retry kQuick{.attempts = 3, .firstPause = std::chrono::milliseconds(1)};

Api apiOf(const TestServer& server) {
  return Api({.server = server.url(), .token = "clst_test", .tenant = ""}, kQuick);
}

TEST(Http, SendsTheTokenTheQueryAndAKey) {
  const TestServer server([](const Asked&, std::size_t, ServerRequest&, Answer& answer) {
    TestServer::reply(answer, 201, R"({"name":"shop"})");
  });
  const Response response = apiOf(server).send(
      {.method = "POST", .path = "/v1/apps", .query = {{"tenant", "a&b c"}}, .body = R"({"name":"shop"})"});
  EXPECT_EQ(response.status, 201);
  EXPECT_EQ(response.body, R"({"name":"shop"})");
  const Asked asked = server.asked().at(0);
  EXPECT_EQ(asked.method, "POST");
  EXPECT_EQ(asked.uri, "/v1/apps?tenant=a%26b%20c");
  EXPECT_EQ(asked.authorization, "Bearer clst_test");
  EXPECT_EQ(asked.contentType, "application/json");
  EXPECT_EQ(asked.body, R"({"name":"shop"})");
  EXPECT_EQ(asked.idempotencyKey.size(), 36U);
}

TEST(Http, ReadsCarryNoKeyAndWritesEachTheirOwn) {
  const TestServer server(
      [](const Asked&, std::size_t, ServerRequest&, Answer& answer) { TestServer::reply(answer, 200, "{}"); });
  const Api api = apiOf(server);
  for (const char* method : {"GET", "POST", "POST"})
    static_cast<void>(api.send({.method = method, .path = "/v1/apps"}));
  const auto asked = server.asked();
  EXPECT_EQ(asked.at(0).idempotencyKey, "");
  EXPECT_NE(asked.at(1).idempotencyKey, asked.at(2).idempotencyKey);
}

TEST(Http, RepeatsALostWriteWithTheSameKey) {
  const TestServer server([](const Asked&, std::size_t count, ServerRequest& request, Answer& answer) {
    if (count == 0) TestServer::breakOff(request);
    if (count == 1) return TestServer::reply(answer, 503, R"({"code":"node_unavailable"})");
    TestServer::reply(answer, 200, "{}");
  });
  EXPECT_EQ(apiOf(server).send({.method = "POST", .path = "/v1/apps", .body = "{}"}).status, 200);
  const auto asked = server.asked();
  ASSERT_EQ(asked.size(), 3U);
  EXPECT_EQ(asked.at(0).idempotencyKey, asked.at(2).idempotencyKey);
  EXPECT_EQ(asked.at(2).body, "{}");
}

TEST(Http, GivesUpAfterTheLastAttempt) {
  const TestServer server(
      [](const Asked&, std::size_t, ServerRequest& request, Answer&) { TestServer::breakOff(request); });
  EXPECT_THROW(static_cast<void>(apiOf(server).send({.path = "/v1/apps"})), TransportError);
  EXPECT_EQ(server.asked().size(), 3U);
  const Api nobody({.server = "http://127.0.0.1:1", .token = "t", .tenant = ""}, kQuick);
  EXPECT_THROW(static_cast<void>(nobody.send({.path = "/v1/apps"})), TransportError);
  const Api wrong({.server = "ftp://127.0.0.1", .token = "t", .tenant = ""}, kQuick);
  EXPECT_THROW(static_cast<void>(wrong.send({.path = "/v1/apps"})), TransportError);
}

TEST(Http, ShowsDetailFieldAndCodeOfAProblemOnce) {
  const TestServer server([](const Asked&, std::size_t, ServerRequest&, Answer& answer) {
    TestServer::reply(
        answer, 422, R"({"title":"x","status":422,"code":"invalid_name","detail":"not a \u001b label","field":"name"})",
        "application/problem+json");
  });
  try {
    static_cast<void>(apiOf(server).send({.method = "POST", .path = "/v1/apps"}));
    FAIL() << "a problem is an error";
  } catch (const ApiError& error) {
    EXPECT_STREQ(error.what(), "not a ? label [field name] [invalid_name]");
    EXPECT_EQ(error.status(), 422);
    EXPECT_EQ(error.code(), "invalid_name");
  }
  EXPECT_EQ(server.asked().size(), 1U) << "a refusal is not repeated";
}

TEST(Http, SurvivesAProblemThatIsNoJson) {
  const TestServer server([](const Asked&, std::size_t, ServerRequest&, Answer& answer) {
    TestServer::reply(answer, 404, "<html>", "text/html");
  });
  try {
    static_cast<void>(apiOf(server).send({.path = "/v1/apps"}));
    FAIL() << "404 is an error";
  } catch (const ApiError& error) {
    EXPECT_STREQ(error.what(), "the server answered 404 Not Found");
  }
}

TEST(Http, AShortAnswerIsALostOne) {
  const TestServer server([](const Asked&, std::size_t, ServerRequest&, Answer& answer) {
    answer.setContentLength(100);
    answer.send() << "{}" << std::flush;
  });
  EXPECT_THROW(static_cast<void>(apiOf(server).send({.path = "/v1/apps"})), TransportError);
}

TEST(Http, UploadsAFileAgainFromItsStart) {
  const TestServer server([](const Asked&, std::size_t count, ServerRequest& request, Answer& answer) {
    if (count == 0) TestServer::breakOff(request);
    TestServer::reply(answer, 202, "{}");
  });
  std::FILE* file = std::tmpfile();
  const std::string content(200'000, 'z');
  ASSERT_EQ(std::fwrite(content.data(), 1, content.size(), file), content.size());
  std::uint64_t last = 0;
  static_cast<void>(apiOf(server).upload({.method = "POST", .path = "/v1/x", .contentType = "application/gzip"}, file,
                                         content.size(), [&](std::uint64_t sent) { last = sent; }));
  static_cast<void>(std::fclose(file));
  EXPECT_EQ(server.asked().at(1).body, content);
  EXPECT_EQ(server.asked().at(1).contentType, "application/gzip");
  EXPECT_EQ(server.asked().at(0).idempotencyKey, server.asked().at(1).idempotencyKey);
  EXPECT_EQ(last, content.size());
}

TEST(Http, ARefusedUpgradeGivesItsProblem) {
  const TestServer server([](const Asked&, std::size_t, ServerRequest&, Answer& answer) {
    TestServer::reply(answer, 404, R"({"detail":"no app shop","code":"not_found"})", "application/problem+json");
  });
  try {
    static_cast<void>(apiOf(server).connect({.path = "/v1/apps/shop/exec"}));
    FAIL() << "404 is an error";
  } catch (const ApiError& error) {
    EXPECT_STREQ(error.what(), "no app shop [not_found]");
  }
}

TEST(Http, EncodesPathSegments) {
  EXPECT_EQ(segment("shop"), "shop");
  EXPECT_EQ(segment("a/b?c"), "a%2Fb%3Fc");
  EXPECT_THROW(static_cast<void>(segment("..")), std::invalid_argument);
  EXPECT_THROW(static_cast<void>(segment("")), std::invalid_argument);
}

TEST(EventStream, FollowsTheFormat) {
  std::istringstream in(
      ": hello\nid: 7\nevent: log\ndata: a\ndata: b\n\ndata:c\r\n\r\nevent: empty\n\nunknown\ndata\n\ndata: cut");
  std::vector<ServerEvent> events;
  EXPECT_EQ(readEvents(in,
                       [&](const ServerEvent& event) {
                         events.push_back(event);
                         return Flow::next;
                       }),
            Flow::next);
  ASSERT_EQ(events.size(), 3U);
  EXPECT_EQ(events[0].id, "7");
  EXPECT_EQ(events[0].event, "log");
  EXPECT_EQ(events[0].data, "a\nb");
  EXPECT_EQ(events[1].data, "c");
  EXPECT_EQ(events[1].id, "7") << "the last id stays";
  EXPECT_EQ(events[2].data, "");
}

TEST(EventStream, StopsWhenAsked) {
  std::istringstream in("data: 1\n\ndata: 2\n\n");
  int seen = 0;
  EXPECT_EQ(readEvents(in,
                       [&](const ServerEvent&) {
                         ++seen;
                         return Flow::stop;
                       }),
            Flow::stop);
  EXPECT_EQ(seen, 1);
}

TEST(LogResume, PassesOverWhatWasShown) {
  LogResume resume;
  EXPECT_EQ(resume.since(), "");
  EXPECT_TRUE(resume.take("in-1", "2026-01-31T12:00:05.000001Z"));
  EXPECT_TRUE(resume.take("in-1", "2026-01-31T12:00:05.000001Z")) << "two lines of one moment";
  EXPECT_TRUE(resume.take("in-2", "2026-01-31T12:00:04.000001Z"));
  EXPECT_EQ(resume.since(), "2026-01-31T12:00:03.000001Z");
  for (int connection = 0; connection < 2; ++connection) {
    resume.reconnecting();
    EXPECT_FALSE(resume.take("in-2", "2026-01-31T12:00:04.000001Z"));
    EXPECT_FALSE(resume.take("in-1", "2026-01-31T12:00:05.000001Z"));
    EXPECT_FALSE(resume.take("in-1", "2026-01-31T12:00:05.000001Z"));
  }
  EXPECT_TRUE(resume.take("in-1", "2026-01-31T12:00:05.000001Z")) << "a third is new";
  EXPECT_TRUE(resume.take("in-2", "2026-01-31T12:00:04.000002Z")) << "new, though another instance was ahead";
  EXPECT_TRUE(resume.take("in-3", "2026-01-31T12:00:04.000000Z")) << "an instance not seen before";
}

TEST(LogResume, ShowsNothingFromBeforeTheFirstLineOfAnInstance) {
  LogResume resume;
  EXPECT_TRUE(resume.take("in-1", "2026-01-31T12:00:05.000001Z"));
  resume.reconnecting();
  EXPECT_FALSE(resume.take("in-1", "2026-01-31T12:00:04.900000Z")) << "within the overlap, and not asked for";
  EXPECT_FALSE(resume.take("in-1", "2026-01-31T12:00:05.000001Z"));
  EXPECT_TRUE(resume.take("in-1", "2026-01-31T12:00:05.100000Z"));
}

TEST(LogResume, LosesNothingWhenTheClockWasSetBack) {
  LogResume resume;
  EXPECT_TRUE(resume.take("in-1", "2026-01-31T12:00:05.000001Z"));
  resume.reconnecting();
  EXPECT_FALSE(resume.take("in-1", "2026-01-31T12:00:05.000001Z"));
  EXPECT_TRUE(resume.take("in-1", "2026-01-31T12:00:04.000001Z"));
  EXPECT_EQ(resume.since(), "2026-01-31T12:00:03.000001Z");
}

TEST(LogResume, StartsAgainNoEarlierThanTheReaderAsked) {
  const auto sinceAfter = [](const std::string& from) {
    LogResume resume(from);
    EXPECT_TRUE(resume.take("in-1", "2026-01-31T12:00:05.000001Z"));
    return resume.since();
  };
  EXPECT_EQ(sinceAfter("2026-01-31T12:00:04.5Z"), "2026-01-31T12:00:04.500000Z");
  EXPECT_EQ(sinceAfter("2026-01-31T14:00:04+02:00"), "2026-01-31T12:00:04.000000Z");
  EXPECT_EQ(sinceAfter("2026-01-31T12:00:00Z"), "2026-01-31T12:00:03.000001Z");
  for (const char* age : {"10m", "9999s", ""}) EXPECT_EQ(sinceAfter(age), "2026-01-31T12:00:03.000001Z") << age;
}

}  // namespace
}  // namespace cloister::cli
