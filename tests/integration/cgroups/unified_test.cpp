// What only the unified layout (cgroup v2 alone) gives. Skipped by name on the hybrid one.
#include <fcntl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <csignal>

#include "sandbox/base/files.h"
#include "sandbox/base/process.h"
#include "tests/integration/cgroups/real_tree.h"

namespace cloister::cgroups {
namespace {

using Clock = std::chrono::steady_clock;
using namespace std::chrono_literals;

struct Unified : RealTree {
  void SetUp() override {
    RealTree::SetUp();
    if (IsSkipped() || HasFatalFailure()) return;
    if (tree->layout() != Layout::unified) GTEST_SKIP() << "needs the unified layout: no cgroup v1 controller mounted";
  }

  [[nodiscard]] static std::string read(const Group& group, const char* file) {
    const UniqueFd opened(::openat(group.unified(), file, O_RDONLY | O_CLOEXEC));
    std::string text(4096, '\0');
    const ssize_t got = ::read(opened.get(), text.data(), text.size());
    EXPECT_GE(got, 0) << file;
    text.resize(got < 0 ? 0 : static_cast<std::size_t>(got));
    return text;
  }
  // "KEY NUMBER" in a file of such lines; -1 when it has none.
  [[nodiscard]] static long long field(const Group& group, const char* file, const std::string& key) {
    const std::string text = "\n" + read(group, file);
    const auto at = text.find("\n" + key + " ");
    return at == std::string::npos ? -1 : std::stoll(text.substr(at + key.size() + 2));
  }
};

int burnFor(std::chrono::milliseconds duration) {
  const auto end = Clock::now() + duration;
  volatile unsigned long turns = 0;
  while (Clock::now() < end) turns = turns + 1;
  return 0;
}

TEST_F(Unified, TheKernelHasTheLimitsThatWereAskedFor) {
  const Group group = create("limits", limits(64ULL << 20U, 250, 16));
  EXPECT_EQ(read(group, "cpu.max"), "25000 100000\n");
  EXPECT_EQ(read(group, "memory.max"), std::to_string(64ULL << 20U) + "\n");
  EXPECT_EQ(read(group, "memory.oom.group"), "1\n");
  EXPECT_EQ(read(group, "pids.max"), "16\n");
}

// The way of every launch: the first instruction is already counted and bounded, and nothing is charged to the parent.
TEST_F(Unified, AChildIsBornInsideItsGroup) {
  const Group group = create("born", limits(64ULL << 20U, 1000, 1));
  auto born = process::cloneProcess(0, group.unified());
  ASSERT_TRUE(born) << born.error().message();
  if (born->pid == 0) {
    const pid_t second = ::fork();
    if (second == 0) ::_exit(0);
    ::_exit(second < 0 && errno == EAGAIN ? burnFor(50ms) : 1);
  }
  const pid_t child = born->pid;
  EXPECT_EQ(tree->processes(kTenant, "born").value(), std::vector<pid_t>{child});
  ASSERT_TRUE(tree->join(group, child, Tree::Born::insideUnified));
  rusage usage{};
  int status = 0;
  ASSERT_EQ(::wait4(child, &status, 0, &usage), child);
  EXPECT_EQ(status, 0) << "a second process passed pids.max";
  const auto spent =
      (usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) * 1'000'000LL + usage.ru_utime.tv_usec + usage.ru_stime.tv_usec;
  EXPECT_GE(field(group, "cpu.stat", "usage_usec"), spent * 9 / 10);
  EXPECT_GE(field(group, "pids.events", "max"), 1);
}

TEST_F(Unified, OutOfMemoryEndsTheInstanceWholeAndNoOther) {
  const Group group = create("oom", limits(32ULL << 20U, 1000, 16));
  const Group other = create("other", limits(32ULL << 20U, 1000, 16));
  const auto pause = [] {
    ::pause();
    return 0;
  };
  const pid_t sibling = run(group, pause);
  const pid_t neighbour = run(other, pause);
  const pid_t greedy = run(group, [] { return touch(128U << 20U); });
  for (const pid_t pid : {greedy, sibling}) {
    const int status = waitFor(pid);
    EXPECT_TRUE(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL) << status;
  }
  EXPECT_GE(field(group, "memory.events", "oom_kill"), 2);
  EXPECT_EQ(field(group, "memory.events", "oom_group_kill"), 1);
  EXPECT_EQ(::kill(neighbour, 0), 0);
  EXPECT_EQ(field(other, "memory.events", "oom_kill"), 0);
  ASSERT_TRUE(tree->kill(kTenant, "other"));
  (void)waitFor(neighbour);
}

// The tenant's bound ends one of its instances, and the tenant's other instances live on.
TEST_F(Unified, TheTenantsOwnBoundEndsOneInstanceOfIt) {
  ASSERT_TRUE(tree->putTenant(kTenant, {48ULL << 20U, 1000, 64, 0}));
  const Group small = create("small", {});
  const Group large = create("large", {});
  const pid_t quiet = run(small, [] {
    ::pause();
    return 0;
  });
  const int status = waitFor(run(large, [] { return touch(128U << 20U); }));
  EXPECT_TRUE(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL) << status;
  EXPECT_EQ(::kill(quiet, 0), 0);
  EXPECT_EQ(field(small, "memory.events", "oom_kill"), 0);
  ASSERT_TRUE(tree->kill(kTenant, "small"));
  (void)waitFor(quiet);
}

TEST_F(Unified, TheTenantsQuotaHoldsOverItsInstances) {
  auto slow = kTenantLimits;
  slow.cpuMillis = 300;
  auto tenant = tree->putTenant(kTenant, slow);
  ASSERT_TRUE(tenant) << tenant.error().message();
  const Group first = create("first", limits(64ULL << 20U, 1000, 16));
  const Group second = create("second", limits(64ULL << 20U, 1000, 16));
  const auto begin = Clock::now();
  const pid_t one = run(first, [] { return burnFor(1500ms); });
  const pid_t two = run(second, [] { return burnFor(1500ms); });
  (void)waitFor(one);
  (void)waitFor(two);
  const auto passed = std::chrono::duration_cast<std::chrono::microseconds>(Clock::now() - begin).count();
  const auto spent = field(*tenant, "cpu.stat", "usage_usec");
  EXPECT_LE(spent, passed * 3 / 10 + 60'000) << "one period's slices beyond";
  EXPECT_GT(spent, passed / 20);
  EXPECT_GE(field(*tenant, "cpu.stat", "nr_throttled"), 1);
}

TEST_F(Unified, KillReachesWhatIsFrozenAndWhatForksMeanwhile) {
  const Group group = create("stubborn", limits(128ULL << 20U, 1000, 64));
  const pid_t first = run(group, []() -> int {
    ::signal(SIGTERM, SIG_IGN);
    for (;;) {
      if (::fork() < 0) ::usleep(1000);
    }
  });
  for (int turn = 0; turn < kPatience / 10 && tree->processes(kTenant, "stubborn").value().size() < 32; ++turn) {
    ::usleep(10'000);
  }
  ASSERT_TRUE(tree->setMotion(kTenant, "stubborn", Motion::frozen));
  ASSERT_TRUE(tree->kill(kTenant, "stubborn"));
  EXPECT_TRUE(WIFSIGNALED(waitFor(first)));
  EXPECT_TRUE(tree->removeInstance(kTenant, "stubborn", kPatience));
}

}  // namespace
}  // namespace cloister::cgroups
