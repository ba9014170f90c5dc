// A program that runs as an ordinary user of Debian runs in a container: each act is done for real, under the filters,
// Landlock, the overlay and AppArmor together.
#include <csignal>

#include "tests/integration/launcher/harness.h"

namespace cloister::test {
namespace {

class OrdinaryUserTest : public LauncherTest {
 protected:
  [[nodiscard]] launcher::LaunchRequest withProgram(const std::string& command) {
    auto wanted = request("app", command);
    wanted.layers.insert(wanted.layers.begin(), makeLayer("program", std::string("mkdir -p $ROOT/usr/bin; cp ") +
                                                                         CLOISTER_ORDINARY_USER + " $ROOT/usr/bin/"));
    wanted.limits.memoryBytes = 64U << 20U;
    return wanted;
  }
};

TEST_F(OrdinaryUserTest, DoesToWhatIsItsOwnAsOnAnyLinux) {
  const auto outcome = run(withProgram("mkdir /tmp/own && cd /tmp/own && exec /usr/bin/ordinary_user"));
  EXPECT_EQ(outcome.output, "done\n");
  EXPECT_EQ(outcome.status, "exit 0\n");
}

TEST_F(OrdinaryUserTest, DoesSoInASessionToo) {
  auto container = launch(withProgram("sleep 30"));
  ASSERT_TRUE(container) << container.error().message();
  const auto outcome = exec("app", {"/bin/sh", "-c", "mkdir /tmp/own && cd /tmp/own && exec /usr/bin/ordinary_user"});
  EXPECT_EQ(outcome.output, "done\n");
  ASSERT_TRUE(client_->signal({"app", SIGKILL, launcher::SignalTarget::group}));
  (void)finish("app", *container);
}

// What package scripts and copying tools do to files that are the user's.
TEST_F(OrdinaryUserTest, CopiesAndUnpacksWithOwners) {
  const auto outcome = run(request(
      "app",
      "cd /tmp && echo x >own && busybox chown 1000:1000 own && busybox chgrp 1000 own && busybox cp -p own two "
      "&& mkdir d && busybox tar cf - own | busybox tar xpf - -C d "
      "&& ! busybox chown 0 own 2>/dev/null && ls"));
  EXPECT_EQ(outcome.output, "d\nown\ntwo\n");
}

}  // namespace
}  // namespace cloister::test
