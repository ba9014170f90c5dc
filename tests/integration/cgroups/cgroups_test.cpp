// The kernel holds what Tree writes, on whichever layout this machine has.
#include "tests/integration/cgroups/real_tree.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <chrono>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <functional>
#include <thread>

#include "sandbox/base/files.h"
#include "tests/integration/patience.h"

namespace cloister::cgroups {
namespace {

using launcher::DescriptorKind;
using namespace std::chrono_literals;

TEST_F(RealTree, IdentityIsTheInodeOfTheUnifiedGroup) {
  const Group group = create("identity", limits(64ULL << 20U, 500, 16));
  struct stat status {};
  ASSERT_EQ(::fstat(group.unified(), &status), 0);
  EXPECT_EQ(group.inode, status.st_ino);
  const auto again = tree->openInstance(kTenant, "identity");
  ASSERT_TRUE(again);
  EXPECT_EQ(again->inode, group.inode);
  EXPECT_EQ(again->directories.size(), group.directories.size());
}

TEST_F(RealTree, ForksStopAtPidsMax) {
  const Group group = create("pids", limits(64ULL << 20U, 1000, 8));
  const pid_t child = run(group, [] {
    int forked = 0;
    for (; forked < 64; ++forked) {
      const pid_t pid = ::fork();
      if (pid == 0) {
        ::pause();
        ::_exit(0);
      }
      if (pid < 0) break;
    }
    return errno == EAGAIN ? forked : 98;
  });
  const int status = waitFor(child);
  ASSERT_TRUE(WIFEXITED(status));
  EXPECT_EQ(WEXITSTATUS(status), 7);  // and the child itself
}

TEST_F(RealTree, AChildThatTouchesTooMuchMemoryIsKilledAlone) {
  const Group group = create("memory", limits(32ULL << 20U, 1000, 16));
  const Group neighbour = create("neighbour", limits(32ULL << 20U, 1000, 16));
  const pid_t quiet = run(neighbour, [] {
    ::pause();
    return 0;
  });
  const pid_t greedy = run(group, [] { return touch(128U << 20U); });
  const int status = waitFor(greedy);
  ASSERT_TRUE(WIFSIGNALED(status)) << status;
  EXPECT_EQ(WTERMSIG(status), SIGKILL);
  EXPECT_EQ(::kill(quiet, 0), 0);
  ASSERT_TRUE(tree->kill(kTenant, "neighbour"));
  EXPECT_TRUE(WIFSIGNALED(waitFor(quiet)));
}

TEST_F(RealTree, TheTenantsMemoryBoundHoldsOverItsInstances) {
  ASSERT_TRUE(tree->putTenant(kTenant, {32ULL << 20U, 1000, 64, 0}));
  const Group group = create("nested", {});
  const pid_t greedy = run(group, [] { return touch(128U << 20U); });
  const int status = waitFor(greedy);
  EXPECT_TRUE(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL) << status;
}

TEST_F(RealTree, CpuIsHeldAtTheQuota) {
  const Group group = create("cpu", limits(64ULL << 20U, 200, 16));
  const pid_t burner = run(group, [] {
    const auto end = std::chrono::steady_clock::now() + 1500ms;
    unsigned long turns = 0;
    while (std::chrono::steady_clock::now() < end) turns = turns + 1;
    return turns == 0 ? 1 : 0;
  });
  rusage usage{};
  int status = 0;
  ASSERT_EQ(::wait4(burner, &status, 0, &usage), burner);
  const double seconds = static_cast<double>(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) +
                         static_cast<double>(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) / 1e6;
  EXPECT_LT(seconds, 0.2 * 1.5 + 0.12);  // a slice beyond, and the ticks of being moved
  EXPECT_GT(seconds, 0.05);
}

TEST_F(RealTree, ABurstSpendsWhatWasLeftOverAndShrinksWithTheQuota) {
  auto bursting = kTenantLimits;
  bursting.cpuBurstMillis = 1000;
  ASSERT_TRUE(tree->putTenant(kTenant, bursting));
  create("burst", limits(64ULL << 20U, 300, 16));
  // The kernel holds burst <= quota at each write: every order of plans must go through.
  for (const std::uint64_t millis : {200U, 4000U, 100U, 1000U}) {
    bursting.cpuMillis = millis;
    const auto put = tree->putTenant(kTenant, bursting);
    EXPECT_TRUE(put) << millis << ": " << put.error().message();
  }
}

TEST_F(RealTree, WhatIsFrozenStandsStillAndCanBeKilled) {
  const Group group = create("frozen", limits(64ULL << 20U, 1000, 16));
  void* shared = ::mmap(nullptr, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  auto* turns = static_cast<volatile unsigned long*>(shared);
  const pid_t spinner = run(group, [turns] {
    for (;;) {
      *turns = *turns + 1;
      ::usleep(500);
    }
    return 0;
  });
  const auto moves = [turns] {
    const unsigned long before = *turns;
    std::this_thread::sleep_for(50ms);
    return *turns != before;
  };
  const auto becomes = [&moves](bool wanted) {
    for (int turn = 0; turn < 100; ++turn) {
      if (moves() == wanted) return true;
    }
    return false;
  };
  EXPECT_TRUE(becomes(true));
  ASSERT_TRUE(tree->setMotion(kTenant, "frozen", Motion::frozen));
  EXPECT_TRUE(becomes(false));
  ASSERT_TRUE(tree->setMotion(kTenant, "frozen", Motion::running));
  EXPECT_TRUE(becomes(true));
  ASSERT_TRUE(tree->setMotion(kTenant, "frozen", Motion::frozen));
  ASSERT_TRUE(tree->kill(kTenant, "frozen"));
  EXPECT_TRUE(WIFSIGNALED(waitFor(spinner)));
  ::munmap(shared, 4096);
}

TEST_F(RealTree, DiskReadsAreHeldAtTheRate) {
  const auto abilities = tree->abilities();
  const auto rate =
      std::find_if(abilities.begin(), abilities.end(), [](const auto& a) { return a.name == "disk-rate"; });
  ASSERT_NE(rate, abilities.end());
  if (!rate->there) GTEST_SKIP() << "needs an io controller and a disk: " << rate->how;
  std::string path = "/var/tmp/cloister-disk-rate-XXXXXX";
  const UniqueFd file(::mkostemp(path.data(), O_DIRECT | O_CLOEXEC));
  if (!file.valid()) GTEST_SKIP() << "needs a disk that reads past the page cache";
  ::unlink(path.c_str());
  constexpr std::size_t kChunk = 256UL << 10U;
  constexpr std::size_t kChunks = 24;
  void* buffer = ::mmap(nullptr, kChunk, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  for (std::size_t i = 0; i < kChunks; ++i) {
    ASSERT_EQ(::pwrite(file.get(), buffer, kChunk, static_cast<off_t>(i * kChunk)), ssize_t{kChunk});
  }
  auto slow = kTenantLimits;
  slow.diskBytesPerSecond = 4U << 20U;
  ASSERT_TRUE(tree->putTenant(kTenant, slow));
  const Group group = create("disk", limits(64ULL << 20U, 1000, 16));
  const auto begin = std::chrono::steady_clock::now();
  const pid_t reader = run(group, [&] {
    for (std::size_t i = 0; i < kChunks; ++i) {
      if (::pread(file.get(), buffer, kChunk, static_cast<off_t>(i * kChunk)) != ssize_t{kChunk}) return 1;
    }
    return 0;
  });
  EXPECT_EQ(waitFor(reader), 0);
  // 6 MiB at 4 MiB a second.
  EXPECT_GT(std::chrono::steady_clock::now() - begin, 1000ms);
  ::munmap(buffer, kChunk);
}

TEST_F(RealTree, AnInstanceMayAskForMoreThanItsTenantHas) {
  const Group group = create("wide", limits(4ULL << 30U, 64'000, 4096));
  EXPECT_GE(group.unified(), 0);
  auto smaller = kTenantLimits;
  smaller.cpuMillis = 300;
  EXPECT_TRUE(tree->putTenant(kTenant, smaller));
  EXPECT_TRUE(tree->putTenant(kTenant, kTenantLimits));
}

TEST_F(RealTree, KillEndsAForkBomb) {
  const Group group = create("bomb", limits(128ULL << 20U, 1000, 40));
  const pid_t first = run(group, [] {
    ::signal(SIGTERM, SIG_IGN);
    for (int spin = 0; spin < 100'000'000; ++spin) {
      const pid_t pid = ::fork();
      if (pid < 0) ::usleep(1000);
    }
    return 0;
  });
  for (int turn = 0; turn < kPatience / 10 && tree->processes(kTenant, "bomb").value().size() < 35; ++turn) {
    std::this_thread::sleep_for(10ms);
  }
  EXPECT_GE(tree->processes(kTenant, "bomb").value().size(), 35U);
  EXPECT_TRUE(tree->populated(kTenant, "bomb").value());
  const auto removed = tree->removeInstance(kTenant, "bomb", 20);
  ASSERT_FALSE(removed);
  EXPECT_EQ(removed.error().code, ETIMEDOUT);
  ASSERT_TRUE(tree->kill(kTenant, "bomb"));
  EXPECT_TRUE(WIFSIGNALED(waitFor(first)));
  EXPECT_TRUE(tree->removeInstance(kTenant, "bomb", kPatience));
  EXPECT_FALSE(tree->openInstance(kTenant, "bomb"));
}

// As a launch does it: with no right of its own, only those of who opened the files.
TEST_F(RealTree, AChildMovesItselfIntoTheVersion1Groups) {
  const Group group = create("mover", limits(64ULL << 20U, 500, 16));
  const auto tasks = tree->joinFiles(group);
  ASSERT_TRUE(tasks) << tasks.error().message();
  if (tasks->empty()) GTEST_SKIP() << "cgroup v2 alone: a child is born in all there is";
  std::array<int, 2> moved{};
  ASSERT_EQ(::pipe2(moved.data(), O_CLOEXEC), 0);
  const pid_t child = ::fork();
  if (child == 0) {
    bool good = ::setresuid(65534, 65534, 65534) == 0;
    for (const UniqueFd& file : *tasks) good = ::write(file.get(), "0", 1) == 1 && good;
    if (::write(moved[1], good ? "y" : "n", 1) == 1) ::pause();
    ::_exit(0);
  }
  char answer = 0;
  ASSERT_EQ(::read(moved[0], &answer, 1), 1);
  EXPECT_EQ(answer, 'y');
  ::close(moved[0]);
  ::close(moved[1]);
  for (const auto& [kind, directory] : group.directories) {
    const auto members = files::read(directory.get(), "cgroup.procs");
    ASSERT_TRUE(members) << members.error().message();
    const bool legacy = kind != DescriptorKind::unified;
    EXPECT_EQ(*members, legacy ? std::to_string(child) + "\n" : "") << static_cast<int>(kind);
  }
  EXPECT_EQ(::kill(child, SIGKILL), 0);
  EXPECT_TRUE(WIFSIGNALED(waitFor(child)));
}

TEST_F(RealTree, WhoWasPutIntoAVersion1GroupAloneIsEndedWithIt) {
  const Group group = create("stray", limits(64ULL << 20U, 500, 16));
  const auto legacy = std::find_if(group.directories.begin(), group.directories.end(),
                                   [](const auto& of) { return of.first == DescriptorKind::pids; });
  if (legacy == group.directories.end()) GTEST_SKIP() << "cgroup v2 alone";
  const pid_t stray = ::fork();
  if (stray == 0) {
    ::pause();
    ::_exit(0);
  }
  ASSERT_TRUE(files::writeControl(legacy->second.get(), "cgroup.procs", std::to_string(stray)));
  const auto first = tree->tryRemoveInstance(kTenant, "stray");
  ASSERT_TRUE(first) << first.error().message();
  EXPECT_FALSE(*first);
  EXPECT_TRUE(WIFSIGNALED(waitFor(stray)));
  EXPECT_TRUE(tree->removeInstance(kTenant, "stray", kPatience));
}

TEST_F(RealTree, ScanFindsWhatAnEarlierTreeMade) {
  create("adopted", limits(64ULL << 20U, 500, 16));
  auto second = openTree();
  ASSERT_TRUE(second);
  const auto found = second.value()->scan();
  ASSERT_TRUE(found);
  ASSERT_EQ(found->size(), 1U);
  EXPECT_EQ(found->front().tenant, kTenant);
  EXPECT_EQ(found->front().instance, "adopted");
}

}  // namespace
}  // namespace cloister::cgroups
