#include "controlplane/node/build_script.h"

#include <gtest/gtest.h>

#include "controlplane/node/runtime.h"
#include "sandbox/base/utf8.h"

namespace cloister::node {
namespace {

TEST(BuildScript, QuotesWhatIsGivenAndRefusesNul) {
  EXPECT_EQ(shellQuoted("it's"), "'it'\\''s'");
  EXPECT_FALSE(buildScript({std::string("a\0b", 3)}, "n", {.count = 1}).has_value());
  const auto script = buildScript({"echo 'x' && false", "make"}, "n", {.count = 2});
  ASSERT_TRUE(script.has_value());
  EXPECT_NE(script->find("/bin/sh -ec 'echo '\\''x'\\'' && false'\n"), std::string::npos);
  EXPECT_NE(script->find("tar -xozf"), std::string::npos);
  EXPECT_NE(script->find("chown -Rh app:app \"$directory\"\n"), std::string::npos);
  const auto second =
      buildScript({"one", "two", "three"}, "n", {.first = 1, .count = 1, .source = false, .stepped = true});
  ASSERT_TRUE(second.has_value());
  EXPECT_EQ(second->find("tar"), std::string::npos);
  EXPECT_EQ(second->find("'one'"), std::string::npos);
  EXPECT_EQ(second->find("'three'"), std::string::npos);
  EXPECT_NE(second->find("step 2\n/bin/sh -ec 'two'\nstep 4\n"), std::string::npos) << *second;
}

TEST(BuildScript, HasTheAppsHomeAndGivesItToTheApp) {
  const auto build = buildEnvironment({});
  const auto app = appEnvironment({});
  for (const auto* variable : {"HOME=/home/app", "LANG=C.UTF-8"}) {
    EXPECT_EQ(std::count(build.begin(), build.end(), variable), 1) << variable;
    EXPECT_EQ(std::count(app.begin(), app.end(), variable), 1) << variable;
  }
  const auto script = buildScript({}, "n", {});
  ASSERT_TRUE(script.has_value());
  EXPECT_NE(script->find("in /app /root \"$HOME\""), std::string::npos) << *script;
}

TEST(BuildScript, HandsOverWhatPackagesLeftAfterTheLastCommandAlone) {
  const auto hands = [](const std::vector<std::string>& commands, const BuildPart& part) {
    return buildScript(commands, "n", part)->find("/var/lib") != std::string::npos;
  };
  EXPECT_FALSE(hands({}, {})) << "a source without commands has no packages";
  EXPECT_FALSE(hands({"a", "b"}, {.first = 0, .count = 1, .stepped = true})) << "commands that follow need their users";
  EXPECT_TRUE(hands({"a", "b"}, {.first = 1, .count = 1, .stepped = true}));
  EXPECT_TRUE(hands({"a", "b"}, {.first = 2, .count = 0, .stepped = true})) << "all of them were done before";
}

TEST(BuildScript, SaysHowMuchOfTheMemoryFilesTook) {
  constexpr std::uint64_t kMebibyte = 1U << 20U;
  const streams::Space files{0, 0, 24 * kMebibyte, true};
  EXPECT_EQ(memoryUsedUp(128 * kMebibyte, files),
            "the build's memory of 128 MiB is used up, 24 MiB of it by files, which this host keeps in memory");
  const std::string plain = "the build's memory of 128 MiB is used up";
  EXPECT_EQ(memoryUsedUp(128 * kMebibyte, streams::Space{0, 0, 24 * kMebibyte, false}), plain);
  EXPECT_EQ(memoryUsedUp(128 * kMebibyte, streams::Space{0, 0, 2 * kMebibyte, true}), plain) << "too little to matter";
  EXPECT_EQ(memoryUsedUp(128 * kMebibyte, std::nullopt), plain);
}

TEST(StepFilterTest, ShowsCommandsForMarksHoweverTheBytesAreCut) {
  const std::string raw = "\x1en:0\nno newline\x1en:1\nbuilding\n\x1en:2\nbad \x1e but no mark\n\x1en:x\n";
  const std::string wanted =
      "Unpacking the source\nno newline\n$ npm ci\nbuilding\n$ make\nbad \x1e but no mark\n\x1en:x\n";
  for (std::size_t cut = 1; cut <= raw.size(); ++cut) {
    StepFilter filter({"npm ci", "make"}, "n");
    std::string shown;
    for (std::size_t at = 0; at < raw.size(); at += cut) shown += filter.feed(raw.substr(at, cut));
    shown += filter.end();
    EXPECT_EQ(shown, wanted) << "cut every " << cut;
    EXPECT_EQ(filter.step(), 2);
    EXPECT_EQ(filter.failureOf("exit 2"), "command 2 `make` exited with 2");
  }
}

// A build can read the nonce and print marks of its own: they deceive its log, and hold up nothing.
TEST(StepFilterTest, AForgedMarkWithoutAnEndIsOutput) {
  for (const std::string digits : {"8888888", "1234567890123", "1"}) {
    const std::string forged = "\x1en:" + digits;
    for (std::size_t cut = 1; cut <= forged.size(); ++cut) {
      StepFilter filter({"npm ci"}, "n");
      std::string shown;
      for (std::size_t at = 0; at < forged.size(); at += cut) shown += filter.feed(forged.substr(at, cut));
      EXPECT_EQ(shown + filter.end(), forged) << "cut every " << cut;
      EXPECT_EQ(filter.step(), -1);
    }
  }
}

TEST(StepFilterTest, ShowsEveryLineEndAsOne) {
  const std::string raw =
      "\x1en:1\nwindows\r\n\r\nold\r\r\n 10 %\r 20 %\r100 %\r\nbar\r\r\rdone\n\nend\r\x1en:2\nlast\r";
  const std::string wanted = "$ a\nwindows\n\nold\n 10 %\n 20 %\n100 %\nbar\ndone\n\nend\n$ b\nlast\n";
  for (std::size_t cut = 1; cut <= raw.size(); ++cut) {
    StepFilter filter({"a", "b"}, "n");
    std::string shown;
    for (std::size_t at = 0; at < raw.size(); at += cut) shown += filter.feed(raw.substr(at, cut));
    shown += filter.end();
    EXPECT_EQ(shown, wanted) << "cut every " << cut;
  }
}

TEST(StepFilterTest, NamesTheStepThatFailed) {
  StepFilter filter({"a"}, "n");
  EXPECT_EQ(filter.failureOf("exit 1"), "the build exited with 1 before it began");
  (void)filter.feed("\x1en:0\n");
  EXPECT_EQ(filter.failureOf("exit 2"), "unpacking the source exited with 2");
  (void)filter.feed("\x1en:1\n");
  EXPECT_EQ(filter.failureOf("signal 9"), "command 1 `a` was killed by signal 9");
  (void)filter.feed("\x1en:2\n");
  EXPECT_EQ(filter.failureOf(""),
            "handing /app, the home directory and what packages left to the app's user ended without a status");
}

TEST(StepFilterTest, ALongCommandIsCutBetweenLetters) {
  for (std::size_t before = 190; before < 205; ++before) {
    const std::string command = std::string(before, 'x') + "\xC3\xA9\xE2\x82\xAC\xF0\x9F\x98\x80; exit 1";
    StepFilter filter({command}, "n");
    (void)filter.feed("\x1en:0\n\x1en:1\n");
    const auto said = filter.failureOf("exit 1");
    EXPECT_TRUE(utf8::valid(said)) << said;
    EXPECT_NE(said.find("...` exited with 1"), std::string::npos) << said;
  }
}

}  // namespace
}  // namespace cloister::node
