// Several requests at once: what waits for a child or for killed processes holds up nobody but its own container.
#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <csignal>
#include <iterator>
#include <optional>
#include <set>
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

// A launcher that is killed between making the record and writing it leaves an empty one.
TEST_F(LauncherTest, ARecordThatWasCutOffIsNoContainer) {
  const std::string record = path("run/containers/cut");
  const UniqueFd empty(::open(record.c_str(), O_WRONLY | O_CREAT | O_CLOEXEC, 0600));
  ASSERT_TRUE(empty);
  const Status removed = client_->remove("cut");
  EXPECT_TRUE(removed) << removed.error().message();
  EXPECT_NE(::access(record.c_str(), F_OK), 0);
  EXPECT_EQ(run(request("cut", "exit 0")).status, "exit 0\n");
}

TEST_F(LauncherTest, EveryProcessIsInEveryGroup) {
  auto container = launch(request("member", "sleep 60"));
  ASSERT_TRUE(container) << container.error().message();
  launcher::ExecRequest exec;
  exec.instance = "member";
  exec.exec = "entrant";
  exec.argv = {"/bin/sleep", "60"};
  exec.environment = {"PATH=/bin"};
  exec.workingDirectory = "/app";
  const UniqueFd null(::open("/dev/null", O_RDWR | O_CLOEXEC));
  const UniqueFd status(::open(path("exec.status").c_str(), O_WRONLY | O_CREAT | O_CLOEXEC, 0600));
  auto handle = client_->exec(exec, {null.get(), null.get(), null.get(), status.get(), -1});
  ASSERT_TRUE(handle) << handle.error().message();
  std::size_t found = 0;
  for (const auto& root : groups()) {
    const std::string group = root + "/t7/member";
    if (::access(group.c_str(), F_OK) != 0) continue;
    ++found;
    std::istringstream members(readWhole(group + "/cgroup.procs"));
    const std::set<std::uint32_t> pids{std::istream_iterator<std::uint32_t>(members), {}};
    // What an exec starts has a group of its own in the unified hierarchy, within the instance's.
    const bool unified = ::access((group + "/entrant").c_str(), F_OK) == 0;
    std::istringstream entrants(unified ? readWhole(group + "/entrant/cgroup.procs") : std::string());
    const std::set<std::uint32_t> theirs{std::istream_iterator<std::uint32_t>(entrants), {}};
    EXPECT_EQ(theirs.size(), unified ? 2U : 0U) << group;
    EXPECT_EQ(pids.size() + theirs.size(), 4U) << group << ": an init and its command, twice";
    EXPECT_EQ(pids.count(container->launched.pid), 1U) << group;
    EXPECT_EQ((unified ? theirs : pids).count(handle->pid), 1U) << group;
  }
  EXPECT_EQ(found, container->descriptors.size() - 3)
      << "all descriptors but those of the process, its network and its upper";
  EXPECT_TRUE(client_->remove("member"));
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
