// Real groups, a real burner: what the meter says against what the kernel says by other ways.
#include <gtest/gtest.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <chrono>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <thread>

#include "metering/ledger/ledger.h"
#include "metering/readings/sampler.h"
#include "sandbox/base/counters.h"
#include "sandbox/base/files.h"
#include "tests/unit/metering/readings/fake_groups.h"

namespace cloister::metering {
namespace {

using launcher::DescriptorKind;

constexpr std::uint64_t kMegabyte = 1U << 20U;
constexpr std::uint64_t kHeld = 64 * kMegabyte;
constexpr double kBurnSeconds = 2.0;

bool unifiedOnly() {
  return std::filesystem::exists("/sys/fs/cgroup/cgroup.controllers");
}

// One group of a name of its own in every hierarchy that there is; gone with the object.
class RealGroup {
 public:
  RealGroup() : name_("cloister-metering-test-" + std::to_string(::getpid())) {
    const std::pair<DescriptorKind, const char*> hierarchies[] = {
        {DescriptorKind::unified, unifiedOnly() ? "" : "unified"},
        {DescriptorKind::cpu, "cpu"},
        {DescriptorKind::cpuacct, "cpuacct"},
        {DescriptorKind::memory, "memory"},
        {DescriptorKind::blkio, "blkio"},
        {DescriptorKind::pids, "pids"}};
    for (const auto& [kind, hierarchy] : hierarchies) {
      const auto root = std::filesystem::path("/sys/fs/cgroup") / hierarchy;
      if (!std::filesystem::exists(root)) continue;
      std::filesystem::create_directory(root / name_);
      paths_.push_back((root / name_).string());
      auto directory = files::openDirectory(paths_.back());
      if (directory) descriptors_.emplace_back(kind, std::move(directory).value());
    }
  }
  ~RealGroup() { remove(); }
  RealGroup(const RealGroup&) = delete;
  RealGroup& operator=(const RealGroup&) = delete;

  [[nodiscard]] const GroupDescriptors& descriptors() const { return descriptors_; }
  [[nodiscard]] GroupDescriptors copies() const {
    GroupDescriptors all;
    for (const auto& [kind, fd] : descriptors_) all.emplace_back(kind, counters::duplicate(fd.get()).value());
    return all;
  }
  [[nodiscard]] bool join(pid_t pid) const {
    for (const auto& path : paths_) {
      if (!files::writeControl(path + "/cgroup.procs", std::to_string(pid))) return false;
    }
    return !paths_.empty();
  }
  // CPU nanoseconds, read by another way than the meter's.
  [[nodiscard]] std::uint64_t cpuNanos() const {
    for (const auto& path : paths_) {
      std::ifstream usage(path + "/cpuacct.usage");
      std::uint64_t nanos = 0;
      if (usage >> nanos) return nanos;
    }
    std::ifstream stat(paths_.front() + "/cpu.stat");
    std::string key;
    std::uint64_t micros = 0;
    stat >> key >> micros;
    return micros * 1000;
  }
  void remove() {
    for (const auto& path : paths_) {
      for (int attempt = 0; ::rmdir(path.c_str()) != 0 && errno == EBUSY && attempt < 100; ++attempt) ::usleep(10'000);
    }
    paths_.clear();
  }

 private:
  std::string name_;
  std::vector<std::string> paths_;
  GroupDescriptors descriptors_;
};

double processSeconds() {
  timespec time{};
  ::clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &time);
  return static_cast<double>(time.tv_sec) + static_cast<double>(time.tv_nsec) / 1e9;
}

// Waits for a byte (until it is in its group), holds memory, burns CPU, exits. Never returns.
// Begins when `gate` has a byte; writes into `held` when it had its memory, in nanoseconds of the boot clock.
[[noreturn]] void burn(int gate, int held) {
  char byte = 0;
  if (::read(gate, &byte, 1) != 1) ::_exit(1);
  auto* memory = static_cast<volatile unsigned char*>(std::malloc(kHeld));
  if (memory == nullptr) ::_exit(2);
  for (std::uint64_t i = 0; i < kHeld; i += 4096) memory[i] = 1;
  const std::uint64_t since = counters::bootNanos();
  if (::write(held, &since, sizeof since) != sizeof since) ::_exit(4);
  std::uint64_t sum = 0;
  while (processSeconds() < kBurnSeconds) {
    for (int i = 0; i < 100'000; ++i) sum += memory[static_cast<std::uint64_t>(i) * 64];
  }
  ::_exit(sum == 0 ? 3 : 0);
}

double seconds(const timeval& time) {
  return static_cast<double>(time.tv_sec) + static_cast<double>(time.tv_usec) / 1e6;
}

std::string scratchDirectory() {
  std::string pattern = (std::filesystem::temp_directory_path() / "cloister-metering-XXXXXX").string();
  return ::mkdtemp(pattern.data()) == nullptr ? std::string() : pattern;
}

class MeteringTest : public testing::Test {
 protected:
  void SetUp() override {
    if (::geteuid() != 0) GTEST_SKIP() << "needs root: makes groups under /sys/fs/cgroup";
    scratch_ = scratchDirectory();
    ASSERT_FALSE(scratch_.empty());
  }
  void TearDown() override {
    std::error_code ignored;
    if (!scratch_.empty()) std::filesystem::remove_all(scratch_, ignored);
  }
  std::string scratch_;
};

TEST_F(MeteringTest, TheLedgersCpuAgreesWithTheBurnersOwnAccount) {
  RealGroup group;
  ASSERT_FALSE(group.descriptors().empty());
  const auto boot = counters::bootId();
  ASSERT_TRUE(boot.ok());
  const auto inode = counters::inodeOf(group.descriptors().front().second.get());
  ASSERT_TRUE(inode.ok());

  auto spool = Spool::open(scratch_ + "/spool.db", "nd-1");
  ASSERT_TRUE(spool.ok()) << spool.error().message();
  auto sampler = Sampler::open(**spool, *boot, hostKey());
  ASSERT_TRUE(sampler.ok());

  int gate[2];
  ASSERT_EQ(::pipe(gate), 0);
  int holding[2];
  ASSERT_EQ(::pipe(holding), 0);
  const pid_t child = ::fork();
  ASSERT_GE(child, 0);
  if (child == 0) burn(gate[0], holding[1]);
  ASSERT_TRUE(group.join(child));
  ASSERT_TRUE(
      (*sampler)
          ->add({"in-1-1", "tn-1", "ap-1", "in-1", *inode, {128 * kMegabyte}}, group.copies(), Origin::launched, now())
          .ok());
  ASSERT_EQ(::write(gate[1], "x", 1), 1);
  const auto begin = counters::bootNanos();

  siginfo_t info{};
  std::uint64_t restarts = 0;
  std::uint64_t oldest = begin;
  for (int tick = 0; tick < 300; ++tick) {
    std::this_thread::sleep_for(std::chrono::milliseconds(100));
    info.si_pid = 0;
    ASSERT_EQ(::waitid(P_PID, static_cast<id_t>(child), &info, WEXITED | WNOHANG | WNOWAIT), 0);
    if (info.si_pid == child) break;
    const auto at = now();
    EXPECT_EQ((*sampler)->sample(at), 0U);
    ASSERT_TRUE((*sampler)->flush(at).ok());
    if (tick == 8) {
      // The node goes away and comes back in the middle of the burn.
      sampler->reset();
      spool->reset();
      spool = Spool::open(scratch_ + "/spool.db", "nd-1");
      ASSERT_TRUE(spool.ok());
      sampler = Sampler::open(**spool, *boot, hostKey());
      ASSERT_TRUE(sampler.ok());
      ASSERT_TRUE((*sampler)
                      ->add({"in-1-1", "tn-1", "ap-1", "in-1", *inode, {128 * kMegabyte}}, group.copies(),
                            Origin::recovered, now())
                      .ok());
      ASSERT_TRUE((*sampler)->closeMissing(now()).ok());
      ++restarts;
    }
    oldest = counters::bootNanos();
  }
  const auto end = counters::bootNanos();
  ASSERT_EQ(info.si_pid, child) << "the burner did not end";
  std::uint64_t heldSince = 0;
  ASSERT_EQ(::read(holding[0], &heldSince, sizeof heldSince), static_cast<ssize_t>(sizeof heldSince));
  // The last reading: after exit, with the zombie inside, before rmdir.
  ASSERT_TRUE((*sampler)->finish("in-1-1", now()).ok());
  const auto afterFinish = group.cpuNanos();
  int status = 0;
  rusage used{};
  ASSERT_EQ(::wait4(child, &status, 0, &used), child);
  ASSERT_TRUE(WIFEXITED(status));
  ASSERT_EQ(WEXITSTATUS(status), 0);
  EXPECT_EQ(group.cpuNanos(), afterFinish) << "reading before reaping and after differ";
  group.remove();
  ::close(gate[0]);
  ::close(gate[1]);
  ::close(holding[0]);
  ::close(holding[1]);
  EXPECT_EQ(restarts, 1U);

  ASSERT_TRUE((*sampler)->flush(now(), Flush::all).ok());
  auto ledger = Ledger::open(scratch_ + "/ledger.db");
  ASSERT_TRUE(ledger.ok());
  const auto batches = (*spool)->pending(1000);
  ASSERT_TRUE(batches.ok());
  for (const auto& batch : *batches) {
    const auto appended = (*ledger)->append(batch, counters::utcMicros());
    ASSERT_TRUE(appended.ok());
    EXPECT_EQ(*appended, Appended::recorded);
    EXPECT_EQ(*(*ledger)->append(batch, counters::utcMicros()), Appended::repeated);
    ASSERT_TRUE((*spool)->acknowledge(batch.sequence).ok());
  }
  const auto totals = (*ledger)->totals("tn-1");
  const auto total = [&totals](Meter meter) { return approximate(totals.at(static_cast<std::size_t>(meter))); };

  const double own = seconds(used.ru_utime) + seconds(used.ru_stime);
  const double metered = total(Meter::cpu) / 1e9;
  // The meter reads the unified group, to a microsecond.
  EXPECT_NEAR(total(Meter::cpu), static_cast<double>(afterFinish), 20'000) << "the last reading is not all there was";
  EXPECT_NEAR(metered, own, own * 0.01);
  EXPECT_EQ(total(Meter::gap), 0);

  const double ran = static_cast<double>(end - begin) / 1e6;
  EXPECT_NEAR(total(Meter::instanceSeconds), ran, 150);
  EXPECT_EQ(total(Meter::memoryAllocated), total(Meter::instanceSeconds) * static_cast<double>(128 * kMegabyte));
  if (group.descriptors().size() > 1) {
    const auto held = static_cast<double>(kHeld);
    const double heldFor = static_cast<double>(oldest - heldSince) / 1e6;
    EXPECT_GT(total(Meter::memoryByteSeconds), held * (heldFor - 300)) << "memory integral too small";
    EXPECT_LT(total(Meter::memoryByteSeconds), (held + 8 * kMegabyte) * (ran + 100)) << "memory integral too large";
    EXPECT_GE(total(Meter::memoryPeak), held);
    EXPECT_LT(total(Meter::memoryPeak), held + 16 * kMegabyte);
    EXPECT_GE(total(Meter::pidsPeak), 1);
  }
  EXPECT_TRUE((*ledger)->verify("tn-1")->whole());
  std::printf("burner %.6f s, metered %.6f s, difference %.4f %%\n", own, metered, (metered - own) / own * 100);
}

TEST_F(MeteringTest, ARemovedGroupReadsAsGone) {
  RealGroup group;
  auto reader = CgroupReader::open(group.descriptors());
  ASSERT_TRUE(reader.ok());
  const auto first = reader->read();
  ASSERT_TRUE(first.ok());
  EXPECT_TRUE(first->cpuNanos);
  group.remove();
  EXPECT_FALSE(reader->read().ok());
}

}  // namespace
}  // namespace cloister::metering
