#include <gtest/gtest.h>

#include <atomic>
#include <fstream>
#include <sstream>

#include "api/cli/commands.h"
#include "tests/unit/api/cli/cli_run.h"
#include "tests/unit/api/cli/temporary_directory.h"
#include "tests/unit/api/cli/test_server.h"

namespace cloister::cli {
namespace {

using test::Asked;
using test::cloister;
using test::Outcome;
using test::TestServer;
using ServerRequest = TestServer::Request;
using Answer = TestServer::Answer;

TEST(Arguments, WrongUsageIsCodeTwoAndAsksNoServer) {
  const std::vector<std::vector<std::string>> cases{{},
                                                    {"bogus"},
                                                    {"app"},
                                                    {"app", "bogus"},
                                                    {"app", "rm"},
                                                    {"app", "ls", "extra"},
                                                    {"app", "ls", "--bogus"},
                                                    {"-o", "yaml", "app", "ls"},
                                                    {"tenant", "create", "acme"},
                                                    {"token", "create", "x", "--scope", "root"},
                                                    {"plan", "create", "p", "--memory", "lots"},
                                                    {"plan", "set", "p"},
                                                    {"scale", "web", "--app", "a"},
                                                    {"scale", "web=-1", "--app", "a"},
                                                    {"scale", "=1", "--app", "a"},
                                                    {"rollback", "three", "--app", "a"},
                                                    {"rollback", "v", "--app", "a"},
                                                    {"config", "set", "NAME", "--app", "a"},
                                                    {"config", "set", "=x", "--app", "a"},
                                                    {"secret", "set", "A", "B", "--app", "a"},
                                                    {"exec", "a"},
                                                    {"exec", "a", "b", "--", "ls"},
                                                    {"exec", "a", "--"},
                                                    {"app", "ls", "--", "x"},
                                                    {"logs", "a", "--lines", "-5"},
                                                    {"completion", "tcsh"}};
  for (const auto& arguments : cases) {
    const Outcome outcome = cloister(arguments);
    std::string line;
    for (const std::string& argument : arguments) line += argument + " ";
    EXPECT_EQ(outcome.code, 2) << line << outcome.err;
    EXPECT_NE(outcome.err, "") << line;
    EXPECT_EQ(outcome.out, "") << line;
  }
}

TEST(Arguments, EveryVerbHasHelpWithAnExample) {
  const std::vector<std::vector<std::string>> verbs{{"deploy"},
                                                    {"ps"},
                                                    {"logs"},
                                                    {"exec"},
                                                    {"run"},
                                                    {"scale"},
                                                    {"restart"},
                                                    {"rollback"},
                                                    {"usage"},
                                                    {"invoice"},
                                                    {"audit"},
                                                    {"posture"},
                                                    {"events"},
                                                    {"version"},
                                                    {"completion"},
                                                    {"app", "create"},
                                                    {"app", "ls"},
                                                    {"app", "show"},
                                                    {"app", "rm"},
                                                    {"config", "set"},
                                                    {"config", "unset"},
                                                    {"config", "ls"},
                                                    {"secret", "set"},
                                                    {"secret", "ls"},
                                                    {"release", "ls"},
                                                    {"domain", "add"},
                                                    {"domain", "ls"},
                                                    {"domain", "rm"},
                                                    {"plan", "create"},
                                                    {"plan", "ls"},
                                                    {"plan", "show"},
                                                    {"plan", "set"},
                                                    {"plan", "rm"},
                                                    {"tenant", "create"},
                                                    {"tenant", "ls"},
                                                    {"tenant", "show"},
                                                    {"tenant", "suspend"},
                                                    {"tenant", "resume"},
                                                    {"tenant", "rm"},
                                                    {"token", "create"},
                                                    {"token", "ls"},
                                                    {"token", "revoke"},
                                                    {"node", "ls"},
                                                    {"node", "cordon"},
                                                    {"node", "drain"},
                                                    {"node", "rm"}};
  for (auto verb : verbs) {
    verb.emplace_back("--help");
    const Outcome outcome = cloister(verb);
    EXPECT_EQ(outcome.code, 0) << verb.front();
    EXPECT_NE(outcome.out.find("Examples:\n  cloister " + verb.front()), std::string::npos) << outcome.out;
  }
}

TEST(Arguments, TheVersionIsToldByTheFlagAsByTheVerb) {
  const Outcome outcome = cloister({"--version"});
  EXPECT_EQ(outcome.code, 0);
  EXPECT_EQ(outcome.out, cloister({"version"}).out);
}

TEST(Arguments, AVerbsNameIsAGoodNameForAnApp) {
  const TestServer server(
      [](const Asked&, std::size_t, ServerRequest&, Answer& answer) { TestServer::reply(answer, 200, "{}"); });
  EXPECT_EQ(cloister({"app", "show", "ps"}, server.url()).code, 0);
  EXPECT_EQ(cloister({"app", "create", "app"}, server.url()).code, 0);
  EXPECT_EQ(server.asked().at(0).uri, "/v1/apps/ps");
  EXPECT_EQ(server.asked().at(1).body, R"({"name":"app"})");
}

TEST(Arguments, WithoutATokenSaysWhereOneGoes) {
  std::istringstream in;
  std::ostringstream out;
  std::ostringstream err;
  EXPECT_EQ(run({"app", "ls"}, {in, out, err}, [](const std::string&) { return std::nullopt; }, {"/absent/cli.toml"}),
            1);
  EXPECT_NE(err.str().find("CLOISTER_TOKEN"), std::string::npos);
  EXPECT_NE(err.str().find("/absent/cli.toml"), std::string::npos);
}

TEST(Output, JsonIsTheApisOwnBytes) {
  const std::string body = R"({ "items": [{"z":1.50,"a":"\u00e9","name":"shop"}] })";
  const TestServer server(
      [&](const Asked&, std::size_t, ServerRequest&, Answer& answer) { TestServer::reply(answer, 200, body); });
  const Outcome outcome = cloister({"app", "ls", "-o", "json", "--tenant", "acme"}, server.url());
  EXPECT_EQ(outcome.code, 0);
  EXPECT_EQ(outcome.out, body + "\n");
  EXPECT_EQ(server.asked().at(0).uri, "/v1/apps?tenant=acme");
}

TEST(Output, AListOfSeveralPagesIsOneList) {
  const TestServer server([](const Asked&, std::size_t count, ServerRequest&, Answer& answer) {
    TestServer::reply(answer, 200,
                      count == 0 ? R"({"items":[{"name":"a"}],"next":"c1"})" : R"({"items":[{"name":"b"}]})");
  });
  EXPECT_EQ(cloister({"tenant", "ls", "-o", "json"}, server.url()).out, R"({"items":[{"name":"a"},{"name":"b"}]})"
                                                                        "\n");
  EXPECT_EQ(server.asked().at(1).uri, "/v1/tenants?cursor=c1");
}

TEST(Output, UsageSaysTheWindowOfAllItsRows) {
  const TestServer server([](const Asked&, std::size_t, ServerRequest&, Answer& answer) {
    const auto row = [](const char* from, const char* to) {
      return std::string(R"({"app":"a","meter":"cpu","unit":"ns","quantity":"5","from":")") + from + R"(","to":")" +
             to + "\"}";
    };
    TestServer::reply(answer, 200,
                      R"({"items":[)" + row("2026-01-31T12:00:07Z", "2026-01-31T12:00:09Z") + "," +
                          row("2026-01-31T12:00:05.5Z", "2026-01-31T12:00:08Z") + "," +
                          row("2026-01-31T12:00:06Z", "2026-01-31T13:00:00Z") + "]}");
  });
  const Outcome outcome = cloister({"usage"}, server.url());
  EXPECT_EQ(outcome.code, 0);
  EXPECT_EQ(outcome.err, "2026-01-31 12:00:05 to 2026-01-31 13:00:00 UTC\n");
}

TEST(Output, AProblemGoesToTheErrorStreamWithCodeOne) {
  const TestServer server([](const Asked&, std::size_t, ServerRequest&, Answer& answer) {
    TestServer::reply(answer, 409, R"({"detail":"the plan allows 3 instances","field":"web","code":"quota_exceeded"})");
  });
  const Outcome outcome = cloister({"scale", "web=9", "--app", "shop"}, server.url());
  EXPECT_EQ(outcome.code, 1);
  EXPECT_EQ(outcome.out, "");
  EXPECT_EQ(outcome.err, "cloister: the plan allows 3 instances [field web] [quota_exceeded]\n");
}

TEST(Output, ALimitIsNamedAsItWasTyped) {
  struct Case {
    const char* body;
    const char* err;
  };
  for (const Case& c :
       {Case{R"({"detail":"limits.memory_bytes is required","field":"limits.memory_bytes","code":"missing_field"})",
             "cloister: --memory is required: memory of all instances and builds together, as 512M or 2G\n"},
        Case{R"({"detail":"build-disk must not be zero","field":"limits.build_disk_bytes","code":"invalid_field"})",
             "cloister: --build-disk: build-disk must not be zero\n"},
        Case{R"({"detail":"there is a plan \"p\" already","field":"name","code":"name_taken"})",
             "cloister: there is a plan \"p\" already [field name] [name_taken]\n"}}) {
    const TestServer server(
        [&](const Asked&, std::size_t, ServerRequest&, Answer& answer) { TestServer::reply(answer, 422, c.body); });
    const Outcome outcome = cloister({"plan", "create", "p", "--cpu", "1"}, server.url());
    EXPECT_EQ(outcome.code, 1);
    EXPECT_EQ(outcome.err, c.err);
  }
}

TEST(Config, BytesThatAreNoTextAreNotSent) {
  const TestServer server(
      [](const Asked&, std::size_t, ServerRequest&, Answer& answer) { TestServer::reply(answer, 200, "{}"); });
  const Outcome outcome = cloister({"config", "set", "KEY=caf\xE9", "--app", "shop"}, server.url());
  EXPECT_EQ(outcome.code, 2);
  EXPECT_NE(outcome.err.find("the value of KEY is not UTF-8"), std::string::npos) << outcome.err;
  EXPECT_TRUE(server.asked().empty());
}

TEST(Operations, AreFollowedToTheirEnd) {
  for (const bool good : {true, false}) {
    const TestServer server([&](const Asked& asked, std::size_t, ServerRequest&, Answer& answer) {
      if (asked.method == "PATCH") return TestServer::reply(answer, 202, R"({"id":"op-1","state":"pending"})");
      TestServer::reply(answer, 200,
                        good ? R"({"id":"op-1","state":"succeeded","progress":"2 of 2"})"
                             : R"({"id":"op-1","state":"failed","failure":{"code":"health","detail":"no answer"}})");
    });
    const Outcome outcome = cloister({"scale", "web=2", "worker=0", "--app", "shop", "--tenant", "acme"}, server.url());
    EXPECT_EQ(outcome.code, good ? 0 : 1);
    EXPECT_EQ(outcome.err, good ? "2 of 2\n" : "cloister: no answer [health]\n");
    EXPECT_EQ(server.asked().at(0).body, R"({"web":2,"worker":0})");
    EXPECT_EQ(server.asked().at(1).uri, "/v1/operations/op-1?tenant=acme&wait=30&progress=");
  }
}

TEST(Secrets, ComeFromStandardInput) {
  const TestServer server([](const Asked&, std::size_t, ServerRequest&, Answer& answer) {
    TestServer::reply(answer, 202, R"({"id":"op-1","state":"succeeded"})");
  });
  EXPECT_EQ(cloister({"secret", "set", "KEY", "OTHER=a=b", "--app", "shop"}, server.url(), "s3cret\n").code, 0);
  EXPECT_EQ(server.asked().at(0).body, R"({"KEY":"s3cret","OTHER":"a=b"})");
  EXPECT_EQ(cloister({"secret", "unset", "KEY", "--app", "shop"}, server.url()).code, 0);
  EXPECT_EQ(server.asked().at(1).body, R"({"KEY":null})");
}

TEST(Tokens, TheSecretIsAloneOnStandardOutput) {
  const TestServer server([](const Asked&, std::size_t, ServerRequest&, Answer& answer) {
    TestServer::reply(answer, 201, R"({"id":"tk-1","secret":"clst_abc"})");
  });
  const Outcome outcome = cloister({"token", "create", "laptop", "--tenant", "acme"}, server.url());
  EXPECT_EQ(outcome.out, "clst_abc\n");
  EXPECT_EQ(server.asked().at(0).body, R"({"name":"laptop","tenant":"acme"})");
}

TEST(Deploy, UploadsShowsTheBuildAndPrintsTheUrl) {
  const test::TemporaryDirectory directory;
  const auto source = directory.path() / "My Shop";
  std::filesystem::create_directory(source);
  std::ofstream(source / "Procfile") << "web: true\n";
  const TestServer server([](const Asked& asked, std::size_t, ServerRequest&, Answer& answer) {
    if (asked.method == "POST")
      return TestServer::reply(answer, 202, R"({"id":"op-1","state":"running","build":"bd-1"})");
    if (asked.uri.find("/log") != std::string::npos)
      return TestServer::reply(answer, 200,
                               "$ make\n\x1b]0;x\x07"
                               "done",
                               "text/plain");
    if (asked.uri.find("/builds/") != std::string::npos)
      return TestServer::reply(answer, 200, R"({"state":"succeeded"})");
    if (asked.uri.find("/operations/") != std::string::npos) {
      return TestServer::reply(answer, 200, R"({"id":"op-1","state":"succeeded","result":"v1"})");
    }
    TestServer::reply(answer, 200, R"({"name":"my-shop","url":"http://my-shop.acme.localhost:8080"})");
  });
  const Outcome outcome = cloister({"deploy", source.string(), "--tenant", "acme"}, server.url());
  EXPECT_EQ(outcome.code, 0) << outcome.err;
  EXPECT_EQ(outcome.out, "$ make\n?]0;x?donehttp://my-shop.acme.localhost:8080\n");
  const auto asked = server.asked();
  EXPECT_EQ(asked.at(0).uri, "/v1/apps/my-shop/deployments?tenant=acme&create=true");
  EXPECT_EQ(asked.at(0).contentType, "application/gzip");
  EXPECT_EQ(asked.at(0).body.substr(0, 2), "\x1f\x8b");
  EXPECT_EQ(asked.at(1).uri, "/v1/apps/my-shop/builds/bd-1?tenant=acme");
  EXPECT_EQ(asked.at(2).uri, "/v1/apps/my-shop/builds/bd-1/log?tenant=acme&follow=true");
}

TEST(Deploy, SaysWhatItWaitsForAndNeverAfterTheBuild) {
  const test::TemporaryDirectory directory;
  std::ofstream(directory.path() / "Procfile") << "web: true\n";
  std::atomic<int> looks{0};
  const TestServer server([&](const Asked& asked, std::size_t, ServerRequest&, Answer& answer) {
    if (asked.method == "POST") {
      return TestServer::reply(answer, 202,
                               R"({"id":"op-1","state":"pending","progress":"waiting to build","build":"bd-1"})");
    }
    if (asked.uri.find("/log") != std::string::npos) return TestServer::reply(answer, 200, "made\n", "text/plain");
    if (asked.uri.find("/builds/") != std::string::npos) {
      const int look = looks++;
      return TestServer::reply(answer, 200,
                               look < 2 ? R"({"state":"queued","operation":"op-1"})"
                                        : (look == 2 ? R"({"state":"running"})" : R"({"state":"succeeded"})"));
    }
    if (asked.uri.find("wait=") != std::string::npos) {
      return TestServer::reply(answer, 200,
                               R"({"id":"op-1","state":"succeeded","progress":"1 of 1 ready","result":"v2"})");
    }
    if (asked.uri.find("/operations/") != std::string::npos) {
      return TestServer::reply(answer, 200,
                               looks < 3 ? R"({"id":"op-1","state":"running","progress":"waiting for 1 earlier build"})"
                                         : R"({"id":"op-1","state":"running","progress":"rolling out v2"})");
    }
    TestServer::reply(answer, 200, R"({"name":"shop","url":"http://shop.acme.localhost:8080"})");
  });
  const Outcome outcome = cloister({"deploy", directory.path().string(), "--app", "shop"}, server.url());
  EXPECT_EQ(outcome.code, 0) << outcome.err;
  EXPECT_EQ(outcome.out, "made\nhttp://shop.acme.localhost:8080\n");
  EXPECT_NE(outcome.err.find("waiting for 1 earlier build\nbuilding\nrolling out v2\n1 of 1 ready\nDeployed shop v2\n"),
            std::string::npos)
      << outcome.err;
}

TEST(LogsCommand, AreFollowedOverABrokenConnection) {
  const TestServer server([](const Asked& asked, std::size_t count, ServerRequest& request, Answer& answer) {
    if (asked.method != "GET" || count > 1)
      return TestServer::reply(answer, 404, R"({"detail":"gone","code":"not_found"})");
    std::string body =
        "data: "
        "{\"at\":\"2026-01-31T12:00:05.000001Z\",\"process\":\"web\",\"instance\":\"in-1\",\"stream\":\"stdout\","
        "\"line\":\"one\"}\n\n";
    if (count == 1)
      body +=
          "data: "
          "{\"at\":\"2026-01-31T12:00:06.000001Z\",\"process\":\"web\",\"instance\":\"in-1\",\"stream\":\"stdout\","
          "\"line\":\"two\"}\n\n";
    static_cast<void>(request);
    TestServer::reply(answer, 200, body, "text/event-stream");
  });
  const Outcome outcome = cloister({"logs", "-f", "shop"}, server.url());
  EXPECT_EQ(outcome.code, 1) << "the app is gone in the end";
  EXPECT_EQ(outcome.out, "2026-01-31 12:00:05 web/in-1 stdout | one\n2026-01-31 12:00:06 web/in-1 stdout | two\n");
  EXPECT_EQ(server.asked().at(0).uri, "/v1/apps/shop/logs?follow=true&lines=100");
  EXPECT_EQ(server.asked().at(1).uri, "/v1/apps/shop/logs?follow=true&since=2026-01-31T12%3A00%3A03.000001Z");
}

TEST(LogsCommand, FollowedOverAnEarlyBreakShowNoLineFromBeforeTheFirst) {
  const auto line = [](const char* at, const char* text) {
    return std::string(R"(data: {"at":"2026-01-31T12:00:)") + at +
           R"(Z","process":"web","instance":"in-1","stream":"stdout","line":")" + text + "\"}\n\n";
  };
  const TestServer server([&](const Asked&, std::size_t count, ServerRequest&, Answer& answer) {
    if (count > 2) return TestServer::reply(answer, 404, R"({"detail":"gone","code":"not_found"})");
    std::string body;
    if (count == 2) body += line("04.500000", "not asked for");
    if (count > 0) body += line("05.000001", "one");
    if (count == 2) body += line("05.200000", "two");
    TestServer::reply(answer, 200, body, "text/event-stream");
  });
  const Outcome outcome = cloister({"logs", "-f", "shop", "-n", "1"}, server.url());
  EXPECT_EQ(outcome.out, "2026-01-31 12:00:05 web/in-1 stdout | one\n2026-01-31 12:00:05 web/in-1 stdout | two\n");
  EXPECT_EQ(server.asked().at(1).uri, "/v1/apps/shop/logs?follow=true&lines=1") << "nothing was shown before";
}

TEST(Posture, OfAnAppIsWhatItReachesAndWhatItsNodesEnforce) {
  const TestServer server([](const Asked&, std::size_t, ServerRequest&, Answer& answer) {
    TestServer::reply(
        answer, 200,
        R"({"app":"shop","calls":{"mode":"enforce","class":200,"open":91,"used":90},"capabilities":0,)"
        R"("socket_families":["unix","inet"],"checks":[{"name":"seccomp","state":"enforced","node":"n1"}]})");
  });
  const std::string shown = cloister({"posture", "shop"}, server.url()).out;
  EXPECT_EQ(server.asked().at(0).uri, "/v1/apps/shop/posture");
  for (const char* word : {"enforce", "91", "90", "200", "unix", "inet", "seccomp", "n1"}) {
    EXPECT_NE(shown.find(word), std::string::npos) << word << " is not in\n" << shown;
  }
}

TEST(Profile, LearnSaysHowLongAndFromWhat) {
  const TestServer server([](const Asked&, std::size_t, ServerRequest&, Answer& answer) {
    TestServer::reply(answer, 202, R"({"id":"op-1","state":"succeeded","kind":"profile","subject":"app/shop"})");
  });
  EXPECT_EQ(cloister({"app", "profile", "learn", "shop", "--for", "2h", "--no-builds", "--no-wait"}, server.url()).code,
            0);
  EXPECT_EQ(server.asked().at(0).uri, "/v1/apps/shop/profile");
  EXPECT_EQ(server.asked().at(0).body, R"({"builds":false,"learn_seconds":7200,"mode":"learn"})");
  EXPECT_EQ(cloister({"app", "profile", "learn", "shop", "--for", "soon"}, server.url()).code, 2);
  EXPECT_EQ(cloister({"app", "profile", "allow", "flock", "fsync", "--app", "shop", "--no-wait"}, server.url()).code,
            0);
  EXPECT_EQ(server.asked().at(1).body, R"({"allow":["flock","fsync"]})");
}

TEST(Completion, NamesEveryVerb) {
  for (const char* shell : {"bash", "zsh", "fish"}) {
    const Outcome outcome = cloister({"completion", shell});
    EXPECT_EQ(outcome.code, 0);
    for (const char* word : {"deploy", "rollback", "posture", "suspend", "instance"}) {
      EXPECT_NE(outcome.out.find(word), std::string::npos) << shell << " lacks " << word;
    }
  }
}

}  // namespace
}  // namespace cloister::cli
