// The node's meter under faults that need a kernel: killed at every system call of a commit, a full disk, a group that
// somebody else removed. What is counted in all must be what was there, once.
#include <fcntl.h>
#include <gtest/gtest.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/ptrace.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <csignal>
#include <filesystem>
#include <fstream>
#include <map>

#include "metering/ledger/ledger.h"
#include "metering/readings/sampler.h"
#include "tests/unit/metering/readings/fake_groups.h"
#include "tests/unit/metering/readings/sealed_rows.h"

namespace cloister::metering {
namespace {

constexpr std::int64_t kStart = 1'700'002'780'000'000;  // twenty seconds before an hour ends
constexpr std::uint64_t kSecondMicros = 1'000'000;

Moment at(std::uint64_t second) {
  return {1'000'000'000'000U + second * 1'000'000'000U, kStart + static_cast<std::int64_t>(second * kSecondMicros)};
}

Subject subject(const std::string& id, std::uint64_t inode) {
  return {id + "-1", "tn-1", "ap-1", id, inode, {1000}};
}

std::uint64_t cpuOf(Spool& spool) {
  std::uint64_t sum = 0;
  const auto batches = spool.pending(1'000'000);
  EXPECT_TRUE(batches.ok());
  for (const auto& batch : *batches) {
    for (const auto& row : batch.rows) sum += row.meter == Meter::cpu ? row.quantity : 0;
  }
  return sum;
}

std::uint64_t heldIn(const SpoolState& state) {
  std::uint64_t sum = 0;
  for (const auto& [name, group] : state.groups.all()) sum += group.sums.of(Meter::cpu);
  for (const auto& [key, quantity] : state.amounts.all()) sum += key.meter == Meter::cpu ? quantity : 0;
  return sum;
}

// What a node does over half a minute: two groups run, a third comes and goes, windows are sealed, a batch is
// acknowledged. Counters are the seconds that have passed; the caller's process is killed somewhere in it.
int liveAndDie(const std::string& directory) {
  FakeGroup one(directory + "/one");
  FakeGroup two(directory + "/two");
  FakeGroup three(directory + "/three");
  for (auto* group : {&one, &two, &three}) group->unified(0, 10);
  auto spool = Spool::open(directory + "/spool.db", "nd-1");
  if (!spool) return 1;
  auto sampler = Sampler::open(**spool, "boot", hostKey());
  if (!sampler) return 2;
  if (!(*sampler)->add(subject("in-1", 1), one.descriptors(), Origin::launched, at(0))) return 3;
  if (!(*sampler)->add(subject("in-2", 2), two.descriptors(), Origin::launched, at(0))) return 4;
  for (std::uint64_t second = 1; second <= 30; ++second) {
    for (auto* group : {&one, &two, &three}) group->unified(second * kSecondMicros, 10);
    if (second == 5 && !(*sampler)->add(subject("in-3", 3), three.descriptors(), Origin::launched, at(second)))
      return 5;
    if ((*sampler)->sample(at(second)) != 0) return 6;
    if (!(*sampler)->flush(at(second))) return 7;
    if (second == 17) {
      if (!(*sampler)->finish("in-3-1", at(second))) return 8;
      (*sampler)->forget("in-3-1");
    }
  }
  return 0;
}

// Ends the child at its `last`th system call; the number of those that it made.
int killAtCall(pid_t child, int last) {
  int status = 0;
  int calls = 0;
  EXPECT_EQ(::waitpid(child, &status, 0), child);
  EXPECT_EQ(::ptrace(PTRACE_SETOPTIONS, child, nullptr, PTRACE_O_TRACESYSGOOD | PTRACE_O_EXITKILL), 0);
  while (WIFSTOPPED(status) && calls < last) {
    EXPECT_EQ(::ptrace(PTRACE_SYSCALL, child, nullptr, nullptr), 0);
    if (::waitpid(child, &status, 0) != child) break;
    if (WIFSTOPPED(status) && WSTOPSIG(status) == (SIGTRAP | 0x80)) ++calls;
  }
  if (WIFSTOPPED(status)) {
    ::kill(child, SIGKILL);
    ::waitpid(child, &status, 0);
  }
  return calls;
}

pid_t traced(const std::string& directory) {
  const pid_t child = ::fork();
  if (child == 0) {
    ::ptrace(PTRACE_TRACEME, 0, nullptr, nullptr);
    ::raise(SIGSTOP);
    ::_exit(liveAndDie(directory));
  }
  return child;
}

TEST(MeterFaults, KilledAtAnySystemCallItGoesOnWithoutLossOrRepetition) {
  int calls = 0;
  {
    const ScratchDirectory scratch;
    calls = killAtCall(traced(scratch.file("")), INT_MAX);
    auto spool = Spool::open(scratch.file("spool.db"), "nd-1");
    ASSERT_TRUE(spool.ok());
    EXPECT_EQ(cpuOf(**spool), (30 + 30 + 17) * kSecondMicros * 1000);
  }
  ASSERT_GT(calls, 500);
  constexpr int kDeaths = 120;
  for (int death = 1; death <= kDeaths; ++death) {
    const ScratchDirectory scratch;
    killAtCall(traced(scratch.file("")),
               1 + static_cast<int>(static_cast<std::int64_t>(calls) * death / (kDeaths + 1)));
    auto spool = Spool::open(scratch.file("spool.db"), "nd-1");
    ASSERT_TRUE(spool.ok()) << death << ": " << spool.error().message();
    const auto state = (*spool)->load();
    ASSERT_TRUE(state.ok()) << death;
    std::uint64_t read = 0;
    for (const auto& [name, group] : state->groups.all()) read += group.progress.last.cpuNanos.value_or(0);
    const bool forgotten = !state->groups.all().contains("in-3-1");
    const auto counted = cpuOf(**spool) + heldIn(*state);
    // A third that was forgotten after its last reading is in the sums alone.
    EXPECT_TRUE(counted == read || (forgotten && counted == read + 17 * kSecondMicros * 1000))
        << "death " << death << ": " << counted << " counted, " << read << " read";
    // The next process goes on from there to the end of the same life.
    auto sampler = Sampler::open(**spool, "boot", hostKey());
    ASSERT_TRUE(sampler.ok());
    FakeGroup one(scratch.file("one"));
    FakeGroup two(scratch.file("two"));
    std::uint64_t expected = counted;
    for (auto* group : {&one, &two}) {
      group->unified(60 * kSecondMicros, 10);
      const std::string id = group == &one ? "in-1" : "in-2";
      const auto known = state->groups.all().find(id + "-1");
      expected += 60 * kSecondMicros * 1000;
      if (known != state->groups.all().end()) expected -= known->second.progress.last.cpuNanos.value_or(0);
      const auto past = (*spool)->past();
      const auto origin = past == Spool::Past::known ? Origin::recovered : Origin::launched;
      ASSERT_TRUE((*sampler)->add(subject(id, group == &one ? 1 : 2), group->descriptors(), origin, at(40)).ok());
    }
    ASSERT_TRUE((*sampler)->closeMissing(at(40)).ok());
    EXPECT_EQ((*sampler)->sample(at(60)), 0U);
    ASSERT_TRUE((*sampler)->flush(at(70), Flush::all).ok());
    EXPECT_EQ(cpuOf(**spool), expected) << "death " << death;
    // And all of it is under seals that hold.
    ASSERT_TRUE((*sampler)->flush(at(3700), Flush::all).ok());
    const auto sealed = sealedRows((*spool)->pending(1'000'000).value());
    EXPECT_EQ(sealed.finding, "") << "death " << death;
    EXPECT_EQ(sealed.counts.bare + sealed.counts.open, 0U) << "death " << death;
    EXPECT_GT(sealed.counts.sealed, 0U) << "death " << death;
  }
}

// In a process and a mount namespace of its own: 0 when all was counted once, over a disk that was full for a while.
int fillAndFree(const std::string& directory) {
  if (::unshare(CLONE_NEWNS) != 0 || ::mount(nullptr, "/", nullptr, MS_REC | MS_PRIVATE, nullptr) != 0) return 10;
  const std::string disk = directory + "/disk";
  std::filesystem::create_directory(disk);
  if (::mount("tmpfs", disk.c_str(), "tmpfs", 0, "size=1m") != 0) return 11;
  FakeGroup one(directory + "/one");
  FakeGroup two(directory + "/two");
  for (auto* group : {&one, &two}) group->unified(0, 10);
  auto spool = Spool::open(disk + "/spool.db", "nd-1");
  if (!spool) return 12;
  auto sampler = Sampler::open(**spool, "boot", hostKey());
  if (!sampler) return 13;
  if (!(*sampler)->add(subject("in-1", 1), one.descriptors(), Origin::launched, at(0))) return 14;
  if (!(*sampler)->add(subject("in-2", 2), two.descriptors(), Origin::launched, at(0))) return 15;
  unsigned refused = 0;
  for (std::uint64_t second = 1; second <= 100; ++second) {
    for (auto* group : {&one, &two}) group->unified(second * kSecondMicros, 10);
    if (second == 12) {
      std::ofstream ballast(disk + "/ballast", std::ios::binary);
      while (ballast << std::string(4096, 'x') << std::flush) {
      }
    }
    if (second == 75) std::filesystem::remove(disk + "/ballast");
    if ((*sampler)->sample(at(second)) != 0) return 16;
    if (!(*sampler)->flush(at(second))) ++refused;
    if (second == 50 && (*sampler)->finish("in-2-1", at(second))) return 17;  // the disk is full
  }
  if (refused < 5) return 18;
  if (cpuOf(**spool) != (100 + 50) * kSecondMicros * 1000) return 19;
  // And the file says the same to the next process.
  sampler->reset();
  spool->reset();
  spool = Spool::open(disk + "/spool.db", "nd-1");
  if (!spool || (*spool)->past() != Spool::Past::known) return 20;
  return cpuOf(**spool) == (100 + 50) * kSecondMicros * 1000 ? 0 : 21;
}

TEST(MeterFaults, AFullDiskLosesNothingWhenThereIsSpaceAgain) {
  if (::geteuid() != 0) GTEST_SKIP() << "needs root: mounts a small file system";
  const ScratchDirectory scratch;
  const pid_t child = ::fork();
  ASSERT_GE(child, 0);
  if (child == 0) ::_exit(fillAndFree(scratch.file("")));
  int status = 0;
  ASSERT_EQ(::waitpid(child, &status, 0), child);
  ASSERT_TRUE(WIFEXITED(status)) << "signal " << WTERMSIG(status);
  EXPECT_EQ(WEXITSTATUS(status), 0);
}

TEST(MeterFaults, AwkwardIdsAndHugeCountersReachTheLedgerAsTheyAre) {
  const ScratchDirectory scratch;
  const std::vector<std::string> ids = {"'; DROP TABLE rows; --",
                                        "\"quoted\"",
                                        "back\\slash",
                                        "new tab",
                                        "../../etc",
                                        "%s%n",
                                        "tn\xc3\xa9\xe2\x82\xac\xf0\x9f\x90\xb1",
                                        "\xff\xfe",
                                        "{\"json\": 1}",
                                        "null",
                                        "0",
                                        std::string(256, 'x'),
                                        " ",
                                        "<script>"};
  auto spool = Spool::open(scratch.file("spool.db"), "nd-1");
  ASSERT_TRUE(spool.ok());
  auto sampler = Sampler::open(**spool, "boot", hostKey());
  ASSERT_TRUE(sampler.ok());
  constexpr std::uint64_t kHuge = 1'000'000'000'000'000'000;
  FakeGroup group(scratch.file("group"));
  group.put("io.stat", "8:0 rbytes=" + std::to_string(kHuge) + " wbytes=" + std::to_string(kHuge + 1) + "\n");
  group.unified(7, 0);
  for (std::size_t i = 0; i < ids.size(); ++i) {
    const Subject awkward{"group-" + std::to_string(i), ids[i], ids[i], ids[i], i + 1, {1}};
    ASSERT_TRUE((*sampler)->add(awkward, group.descriptors(), Origin::launched, at(0)).ok());
    (*sampler)->network(ids[i], {kHuge, kHuge, UINT64_MAX, 0}, at(1));
  }
  EXPECT_EQ((*sampler)->sample(at(1)), 0U);
  for (std::size_t i = 0; i < ids.size(); ++i) {
    ASSERT_TRUE((*sampler)->finish("group-" + std::to_string(i), at(2)).ok());
  }
  ASSERT_TRUE((*sampler)->flush(at(10)).ok());
  auto ledger = Ledger::open(scratch.file("ledger.db"));
  ASSERT_TRUE(ledger.ok());
  const auto batches = (*spool)->pending(100);
  ASSERT_TRUE(batches.ok());
  for (const auto& batch : *batches) EXPECT_EQ(*(*ledger)->append(batch, kStart), Appended::recorded);
  for (const auto& id : ids) {
    const auto totals = (*ledger)->totals(id);
    const auto total = [&totals](Meter meter) { return totals.at(static_cast<std::size_t>(meter)); };
    EXPECT_TRUE(total(Meter::cpu) == 7000) << id;
    EXPECT_TRUE(total(Meter::blockRead) == kHuge) << id;
    EXPECT_TRUE(total(Meter::blockWritten) == kHuge + 1) << id;
    EXPECT_TRUE(total(Meter::networkInternalIn) == UINT64_MAX) << id;
    EXPECT_TRUE(total(Meter::gap) == 0) << id;
    EXPECT_TRUE((*ledger)->verify(id)->whole()) << id;
  }
}

}  // namespace
}  // namespace cloister::metering
