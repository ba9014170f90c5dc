// Several requests at once: what waits for a child or for killed processes holds up nobody but its own container.
#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <csignal>
#include <optional>
#include <sstream>
#include <thread>

#include "tests/integration/launcher/harness.h"
#include "tests/integration/patience.h"

namespace cloister::test {
namespace {

using launcher::DescriptorKind;

// A hundredth of a core: the child's own steps take half a second and more, and far less than the launcher's patience.
launcher::LaunchRequest slowly(launcher::LaunchRequest request) {
  request.limits.cpuMillis = static_cast<std::uint64_t>(patient(10));
  request.address = subnetOf(7) + 20;
  return request;
}

class Concurrency : public LauncherTest {
 protected:
  // Launches in a thread of its own; returns when the launcher has begun.
  void launchBehind(const launcher::LaunchRequest& request) {
    thread_ = std::thread([this, request] {
      slow_ = launch(request);
      ended_ = true;
    });
    while (::access(path("run/containers/" + request.instance).c_str(), F_OK) != 0) ::usleep(1000);
  }
  void TearDown() override {
    if (thread_.joinable()) thread_.join();
    slow_.reset();  // its descriptor of the upper would keep the pool mounted
    LauncherTest::TearDown();
  }

  std::thread thread_;
  std::optional<Result<sandbox::Container>> slow_;
  std::atomic<bool> ended_{false};
};

TEST_F(Concurrency, ASlowLaunchHoldsUpNoOther) {
  launchBehind(slowly(request("slow", "exit 0")));
  EXPECT_EQ(run(request("quick", "exit 0")).status, "exit 0\n");
  EXPECT_TRUE(client_->posture());
  EXPECT_FALSE(ended_) << "the slow launch was no slow one";
  thread_.join();
  ASSERT_TRUE(*slow_) << slow_->error().message();
  EXPECT_EQ(finish("slow", **slow_).status, "exit 0\n");
}

TEST_F(Concurrency, ALayerThatIsCopiedHoldsUpNobody) {
  ASSERT_EQ(shell("truncate -s 256M " + path("large")), 0);
  const std::string digest(64, 'a');
  thread_ = std::thread([this, digest] {
    const UniqueFd file(::open(path("large").c_str(), O_RDONLY | O_CLOEXEC));
    const Status mounted = client_->mountLayer(digest, file.get());
    ended_ = true;
    EXPECT_EQ(mounted.ok() ? 0 : mounted.error().code, EBADMSG);
  });
  while (!ended_ && ::access(path("store/." + digest + ".new").c_str(), F_OK) != 0) ::usleep(1000);
  EXPECT_TRUE(client_->posture());
  EXPECT_FALSE(ended_) << "the copy was too quick to be in the way";
  EXPECT_EQ(run(request("quick", "exit 0")).status, "exit 0\n");
  thread_.join();
  EXPECT_NE(::access(path("store/." + digest + ".new").c_str(), F_OK), 0);
}

TEST_F(Concurrency, RequestsForOneContainerKeepTheirOrder) {
  launchBehind(slowly(request("ordered", "sleep 60")));
  EXPECT_TRUE(client_->remove("ordered"));  // waits for the launch, then ends what it started
  thread_.join();
  ASSERT_TRUE(*slow_) << slow_->error().message();
  EXPECT_TRUE(waitFor((*slow_)->descriptor(DescriptorKind::pid), 5));
  const auto found = client_->recover();
  ASSERT_TRUE(found);
  EXPECT_TRUE(found->empty());
}

TEST_F(Concurrency, RecoverSeesNothingHalfMade) {
  launchBehind(slowly(request("half", "sleep 60")));
  const auto found = client_->recover();  // waits for the launch
  thread_.join();
  ASSERT_TRUE(*slow_) << slow_->error().message();
  ASSERT_TRUE(found) << found.error().message();
  ASSERT_EQ(found->size(), 1U);
  EXPECT_EQ(found->front().launched.instance, "half");
  EXPECT_TRUE(client_->remove("half"));
}

TEST_F(Concurrency, ALaunchThatFailsLateIsRemovedWhole) {
  auto missing = slowly(request("missing", ""));
  missing.argv = {"/no/such/program"};
  launchBehind(missing);
  thread_.join();
  ASSERT_FALSE(*slow_);
  EXPECT_EQ(slow_->error().path, "/no/such/program");
  EXPECT_NE(::access(path("run/containers/missing").c_str(), F_OK), 0);
}

TEST_F(Concurrency, AKilledLauncherLeavesNoHalfMadeContainer) {
  launchBehind(slowly(request("orphan", "sleep 60")));
  killLauncher(SIGKILL);
  thread_.join();
  EXPECT_FALSE(*slow_);
  startLauncher();
  const Status removed = client_->remove("orphan");
  EXPECT_TRUE(removed) << removed.error().message();
  const auto found = client_->recover();
  ASSERT_TRUE(found);
  EXPECT_TRUE(found->empty());
  EXPECT_EQ(run(request("orphan", "exit 0")).status, "exit 0\n");
}

TEST_F(LauncherTest, TheJoinerHoldsNothing) {
  if (::access("/sys/fs/cgroup/cgroup.controllers", F_OK) == 0) GTEST_SKIP() << "cgroup v2 alone needs no joiner";
  EXPECT_EQ(run(request("first", "exit 0")).status, "exit 0\n");
  const std::string self = std::to_string(launcher_);
  pid_t joiner = 0;
  std::istringstream(readWhole("/proc/" + self + "/task/" + self + "/children")) >> joiner;
  const std::string directory = "/proc/" + std::to_string(joiner);
  ASSERT_EQ(readWhole(directory + "/comm"), "joiner\n");
  const std::string status = readWhole(directory + "/status");
  EXPECT_NE(status.find("CapPrm:\t0000000000000000"), std::string::npos) << status;
  EXPECT_NE(status.find("CapEff:\t0000000000000000"), std::string::npos) << status;
  EXPECT_NE(status.find("Seccomp:\t2"), std::string::npos) << status;
  EXPECT_EQ(shell("ls " + directory + "/fd >" + path("fds")), 0);
  EXPECT_EQ(readWhole(path("fds")), "0\n1\n2\n3\n") << "stdio and its socket";
  killLauncher(SIGKILL);
  const auto alive = [&] {
    const std::string now = readWhole(directory + "/status");
    return !now.empty() && now.find("State:\tZ") == std::string::npos;
  };
  for (int i = 0; i < 200 && alive(); ++i) ::usleep(10'000);
  EXPECT_FALSE(alive()) << "it ends with the launcher";
  startLauncher();
}

TEST_F(LauncherTest, AJoinerThatEndsIsReplaced) {
  if (::access("/sys/fs/cgroup/cgroup.controllers", F_OK) == 0) GTEST_SKIP() << "cgroup v2 alone needs no joiner";
  EXPECT_EQ(run(request("first", "exit 0")).status, "exit 0\n");
  const std::string self = std::to_string(launcher_);
  pid_t joiner = 0;
  std::istringstream(readWhole("/proc/" + self + "/task/" + self + "/children")) >> joiner;
  ASSERT_EQ(::kill(joiner, SIGKILL), 0);
  EXPECT_EQ(run(request("second", "exit 0")).status, "exit 0\n");
}

TEST_F(Concurrency, EveryStageOfALaunchIsTimed) {
  auto container = launch(request("timed", "exit 0"));
  ASSERT_TRUE(container) << container.error().message();
  const auto& stages = container->launched.stages;
  ASSERT_EQ(stages.size(), launcher::kLaunchStages);
  for (std::size_t i = 0; i < stages.size(); ++i) EXPECT_GT(stages[i], 0U) << "stage " << i;
  EXPECT_EQ(stages.back(), *std::max_element(stages.begin(), stages.end()));
  (void)finish("timed", *container);
}

}  // namespace
}  // namespace cloister::test
