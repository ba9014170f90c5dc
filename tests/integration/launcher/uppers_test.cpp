// Uppers on disk: bounds, removal, and the one pool that they share, over restarts of the launcher.
#include <fcntl.h>
#include <gtest/gtest.h>
#include <sched.h>
#include <sys/statvfs.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <csignal>
#include <functional>
#include <thread>

#include "sandbox/base/files.h"
#include "tests/integration/launcher/harness.h"
#include "tests/integration/patience.h"

namespace cloister::test {
namespace {

using launcher::Confinement;
using launcher::DescriptorKind;

// Whether this kernel mounts ext4 with project quotas at all, whatever Cloister thinks of it.
bool kernelHasProjectQuotas() {
  static const bool has = [] {
    std::string pattern = "/tmp/cloister-quota-XXXXXX";
    if (::mkdtemp(pattern.data()) == nullptr) return false;
    const bool good = shell("cd " + pattern + "; mkdir at; " CLOISTER_UPPER_POOL " " + pattern +
                            "/pool 256; mount -o loop,prjquota pool at 2>/dev/null; umount at") == 0;
    (void)shell("rm -rf " + pattern);
    return good;
  }();
  return has;
}

class DiskUppersTest : public LauncherTest {
 protected:
  void SetUp() override {
    if (::geteuid() != 0) GTEST_SKIP() << "needs root";
    if (!kernelHasProjectQuotas()) GTEST_SKIP() << "needs a kernel with ext4 project quotas (CONFIG_QFMT_V2)";
    uppers_ = "disk";
    LauncherTest::SetUp();
  }

  // In the launcher's own mount namespace.
  [[nodiscard]] std::string pool(const std::string& part) const {
    return "/proc/" + std::to_string(launcher_) + "/root" + path("run") + "/mnt/pool/" + part;
  }
  [[nodiscard]] std::size_t entries(const std::string& part) const {
    const auto names = files::names(pool(part));
    return names ? names->size() : 0;
  }
  [[nodiscard]] static bool comes(const std::function<bool()>& what) {
    const auto end = std::chrono::steady_clock::now() + std::chrono::seconds(patient(20));
    while (!what()) {
      if (std::chrono::steady_clock::now() > end) return false;
      std::this_thread::sleep_for(std::chrono::milliseconds(20));
    }
    return true;
  }
  // A build is root of its container, so it may leave what it likes.
  [[nodiscard]] launcher::LaunchRequest messy(const std::string& instance) const {
    auto request = this->request(instance,
                                 "mkdir /m; cd /m; i=0; while [ $i -lt 400 ]; do echo x >f$i; i=$((i+1)); done; mkdir "
                                 "-p sticky/inner; chmod 1777 "
                                 "sticky; chown 1000:1000 sticky; ln -s /tmp/cloister-upper-target link; "
                                 "i=0; while [ $i -lt 60 ]; do mkdir d; cd d; i=$((i+1)); done; chmod 0 .");
    request.confinement = Confinement::build;
    return request;
  }
};

TEST_F(DiskUppersTest, BoundsAreWhatTheMeterShowsAndWhatHolds) {
  auto request = this->request("bound", "i=0; while echo >/app/f$i; do i=$((i+1)); done; echo $i; sleep 600");
  request.limits.inodes = 200;
  auto container = launch(request);
  ASSERT_TRUE(container) << container.error().message();
  struct statvfs space {};
  ASSERT_EQ(::fstatvfs(container->descriptor(DescriptorKind::upper), &space), 0);
  EXPECT_EQ(space.f_blocks * space.f_frsize, request.limits.diskBytes);
  EXPECT_EQ(space.f_files, 200U);
  EXPECT_TRUE(comes([&] { return output("bound").find("quota exceeded") != std::string::npos; })) << output("bound");
  ASSERT_EQ(::fstatvfs(container->descriptor(DescriptorKind::upper), &space), 0);
  EXPECT_EQ(space.f_ffree, 0U);
  EXPECT_TRUE(client_->remove("bound"));
}

// A bound is of one container, not of what another has left.
TEST_F(DiskUppersTest, TheNextContainerStartsFromNothing) {
  const std::string fill = "dd if=/dev/zero of=/app/big bs=1M count=3";
  for (const char* instance : {"again", "again", "other"}) {
    const auto outcome = run(request(instance, fill));
    EXPECT_EQ(outcome.status, "exit 0\n") << outcome.output;
  }
}

TEST_F(DiskUppersTest, WhatAContainerLeavesIsDeleted) {
  ASSERT_EQ(
      shell(
          "rm -rf /tmp/cloister-upper-target; mkdir /tmp/cloister-upper-target; touch /tmp/cloister-upper-target/kept"),
      0);
  const auto outcome = run(messy("messy"));
  EXPECT_EQ(outcome.status, "exit 0\n") << outcome.output;
  EXPECT_EQ(entries("uppers"), 0U);
  EXPECT_TRUE(comes([&] { return entries("trash") == 0; }));
  EXPECT_EQ(::access("/tmp/cloister-upper-target/kept", F_OK), 0);
  EXPECT_EQ(shell("rm -r /tmp/cloister-upper-target"), 0);
}

// The deleting process ends with its launcher; the next one goes on.
TEST_F(DiskUppersTest, DeletingGoesOnAfterTheLauncherWasKilled) {
  auto keeper = launch([&] {
    auto request = this->request("keeper", "sleep 600");
    request.address = 0;
    return request;
  }());
  ASSERT_TRUE(keeper) << keeper.error().message();
  EXPECT_EQ(run(messy("messy")).status, "exit 0\n");
  killLauncher(SIGKILL);
  startLauncher();
  ASSERT_FALSE(HasFatalFailure());
  EXPECT_EQ(entries("uppers"), 1U) << "the running container's";
  EXPECT_TRUE(comes([&] { return entries("trash") == 0; }));
  EXPECT_TRUE(client_->remove("keeper"));
}

TEST_F(DiskUppersTest, ALauncherThatComesBackUsesTheSameDevice) {
  auto container = launch(request("writer", "i=0; while :; do echo $i >/app/n; i=$((i+1)); sleep 0.1; done"));
  ASSERT_TRUE(container) << container.error().message();
  const auto before = poolDevices();
  ASSERT_EQ(before.size(), 1U);
  killLauncher(SIGKILL);
  startLauncher();
  ASSERT_FALSE(HasFatalFailure());
  EXPECT_EQ(poolDevices(), before);
  auto second = request("second", "echo new >/app/n; cat /app/n");
  second.address = 0;
  EXPECT_EQ(run(second).output, "new\n");
  const std::string number = pool("uppers/writer/upper/app/n");
  const std::string now = readWhole(number);
  EXPECT_TRUE(comes([&] { return readWhole(number) != now; })) << "the container stopped writing";
  EXPECT_TRUE(client_->remove("writer"));
}

// Nothing uses the last pool any more, so nothing of it comes back.
TEST_F(DiskUppersTest, WithoutContainersTheNextLauncherBeginsAnew) {
  auto container = launch(request("gone", "echo x >/app/x; sleep 600"));
  ASSERT_TRUE(container) << container.error().message();
  killLauncher(SIGKILL);
  ASSERT_EQ(shell("for g in $(find /sys/fs/cgroup -path '*" + cgroupRoot_ +
                  "*' -name cgroup.procs); do for p in $(cat $g); do kill -9 $p; done; done"),
            0);
  ASSERT_TRUE(waitFor(container->descriptor(DescriptorKind::pid), patient(10)));
  container = Error{};
  ASSERT_TRUE(comes([&] { return poolDevices().empty(); }));
  startLauncher();
  ASSERT_FALSE(HasFatalFailure());
  EXPECT_EQ(entries("uppers"), 0U);
  EXPECT_TRUE(client_->remove("gone"));
}

// On a kernel without project quotas nobody gets an upper without a bound: the launcher says what is missing.
TEST_F(LauncherTest, DiskUppersWithoutQuotasAreRefused) {
  if (kernelHasProjectQuotas()) GTEST_SKIP() << "needs a kernel without ext4 project quotas";
  killLauncher(SIGTERM);
  const auto words = refusalToStart({"--uppers", "disk"});
  EXPECT_NE(words.find("mount ext4 with project quotas"), std::string::npos) << words;
  startLauncher();
}

}  // namespace
}  // namespace cloister::test
