// Where an app may write: what owners and modes let it, or of that the directories that its release lists.
#include "sandbox/base/landlock.h"
#include "tests/integration/launcher/harness.h"

namespace cloister::test {
namespace {

using WritesTest = LauncherTest;

// Gives the app a directory in each place, in the way of a build: by owner, by mode, by a file in a closed one.
constexpr const char* kGiven =
    "mkdir -p $ROOT/usr/open $ROOT/etc/mine $ROOT/srv $ROOT/code $ROOT/run $ROOT/var/tmp $ROOT/app/up;"
    "chmod 777 $ROOT/usr/open $ROOT/run $ROOT/var/tmp; echo old > $ROOT/etc/mine.conf;"
    "chown 1000:1000 $ROOT/etc/mine $ROOT/etc/mine.conf $ROOT/srv $ROOT/code $ROOT/app $ROOT/app/up";

TEST_F(WritesTest, WhatTheBuildGaveToTheAppIsWritableWhereverItLies) {
  auto app = request("given",
                     "for f in /usr/open/f /etc/mine/f /etc/mine.conf /srv/f /code/f /run/f /var/tmp/f /app/up/f; do "
                     "echo x >$f && cat $f; done; echo y >/usr/f; echo y >/etc/hosts; echo y >/f");
  app.layers.insert(app.layers.begin(), makeLayer("given", kGiven));
  const auto outcome = run(app);
  EXPECT_TRUE(outcome.output.starts_with("x\nx\nx\nx\nx\nx\nx\nx\n")) << outcome.output;
  for (const char* closed : {"/usr/f: Permission denied", "/etc/hosts: Permission denied", "/f: Permission denied"}) {
    EXPECT_NE(outcome.output.find(closed), std::string::npos) << outcome.output;
  }
}

TEST_F(WritesTest, LandlockClosesWhatIsNotListed) {
  if (landlock::abi() == 0) GTEST_SKIP() << "needs a kernel with Landlock";
  const std::string command =
      "for f in /usr/open/f /etc/mine.conf /srv/f /code/f /app/f /run/f /var/tmp/f /app/up/f; do "
      "(echo x >$f && cat $f) 2>&1; done";
  const std::string expected = [] {
    std::string lines;
    for (const char* file : {"/usr/open/f", "/etc/mine.conf", "/srv/f", "/code/f", "/app/f"}) {
      lines += std::string("/bin/sh: can't create ") + file + ": Permission denied\n";
    }
    return lines + "x\nx\nx\n";
  }();
  auto app = request("listed", command);
  app.layers.insert(app.layers.begin(), makeLayer("given", kGiven));
  app.writes = launcher::Writes::listed;
  app.writable = {"/app/up"};
  EXPECT_EQ(run(app).output, expected);
  app.argv.back() = "sleep 30";
  auto container = launch(app);
  ASSERT_TRUE(container) << container.error().message();
  launcher::ExecRequest same;
  same.writes = app.writes;
  same.writable = app.writable;
  EXPECT_EQ(exec("listed", {"/bin/sh", "-c", command}, same).output, expected);
  EXPECT_TRUE(client_->remove("listed"));
  app.instance = "missing";
  app.writable = {"/app/never"};
  auto missing = launch(app);
  ASSERT_FALSE(missing);
  EXPECT_NE(missing.error().message().find("/app/never"), std::string::npos) << missing.error().message();
}

}  // namespace
}  // namespace cloister::test
