// What reading all groups each second costs: the node's own Sampler over real groups, made as the launcher makes them,
// in real time and with its windows and commits, beside a plain pread of the same files.
//
// One instance a tenant; each group has memory charged and CPU spent, and an upper whose use is asked for. They are
// idle, as most are; the smallest number is measured once more with a process that goes through all groups each second
// and spends CPU in each, for those that work are read in full more often. What is counted is the CPU of the reading
// process; the launcher's answer about the network is not in it. A process of a node may have 65,536 descriptors, and a
// machine may allow fewer: sizes beyond that are read by several processes side by side, and their CPU is added up.
// Where the machine does not give so many groups, the table ends before them.
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <ctime>
#include <exception>
#include <filesystem>
#include <map>
#include <stdexcept>
#include <thread>
#include <utility>
#include <vector>

#include "metering/readings/sampler.h"
#include "sandbox/base/counters.h"
#include "sandbox/base/files.h"
#include "sandbox/cgroups/cgroups.h"
#include "tests/bench/metering_modes.h"
#include "tests/bench/scratch.h"

namespace cloister::bench {
namespace {

using launcher::DescriptorKind;
using Clock = std::chrono::steady_clock;

constexpr unsigned kOfATenantGroup = 250;  // instances below one tenant's group: the tree of 40 tenants is deep enough
constexpr unsigned kHeld = 1000;
constexpr double kMostOfACore = 1.5;     // percent, for as many
constexpr rlim_t kOpenFiles = 65'536;    // as in the systemd units
constexpr unsigned kFilesOfAGroup = 10;  // at most, that a reader keeps open
constexpr unsigned kSpareFiles = 100;
constexpr double kMostOfPread = 3;   // on an emulated machine, whose times are not a core's
constexpr double kMostGrowth = 1.5;  // of the cost a group, from the smallest size to the largest

// As tests/vm/suites/enter says.
bool emulated() {
  return std::getenv("CLOISTER_TEST_SLOWNESS") != nullptr;  // NOLINT(concurrency-mt-unsafe): no thread changes it
}

double ownCpu() {
  timespec time{};
  ::clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &time);
  return static_cast<double>(time.tv_sec) + static_cast<double>(time.tv_nsec) / 1e9;
}

// Real groups, as many as were asked for or as the machine gives.
class Groups {
 public:
  explicit Groups(unsigned wanted) {
    auto opened = cgroups::Tree::open("cloister-bench-" + std::to_string(::getpid()), "/tmp");
    if (!opened) throw std::runtime_error(opened.error().message());
    tree_ = std::move(opened).value();
    for (unsigned i = 0; i < wanted; ++i) {
      const TenantIndex tenant = 1 + i / kOfATenantGroup;
      if (i % kOfATenantGroup == 0) {
        if (auto put = tree_->putTenant(tenant, {8ULL << 30U, 2000, 10'000, 0}); !put) end_ = put.error().message();
      }
      auto made = tree_->createInstance(tenant, nameOf(i), {64ULL << 20U, 1000, 32, 16ULL << 20U, 1000, 256});
      if (!made) end_ = made.error().message();
      if (!end_.empty()) return;
      inodes_.push_back(made->inode);
    }
  }
  ~Groups() {
    rest();
    end(holder_);
    for (unsigned i = 0; i < inodes_.size(); ++i) (void)tree_->removeInstance(1 + i / kOfATenantGroup, nameOf(i), 1000);
    if (auto gone = tree_->removeAll(); !gone) std::fprintf(stderr, "%s\n", gone.error().message().c_str());
  }
  Groups(const Groups&) = delete;
  Groups& operator=(const Groups&) = delete;

  // A process goes through all groups and leaves a page charged to each, which it holds.
  void charge() {
    std::array<int, 2> done{};
    if (::pipe2(done.data(), O_CLOEXEC) != 0) throw std::runtime_error("pipe failed");
    const UniqueFd readEnd(done[0]);
    UniqueFd writeEnd(done[1]);
    holder_ = ::fork();
    if (holder_ == 0) {
      ::prctl(PR_SET_PDEATHSIG, SIGKILL);
      for (unsigned i = 0; i < inodes_.size(); ++i) {
        (void)tree_->join(open(i), ::getpid(), cgroups::Tree::Born::elsewhere);
        auto* page =
            static_cast<char*>(::mmap(nullptr, 65'536, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
        if (page == MAP_FAILED) ::_exit(1);
        for (int at = 0; at < 65'536; at += 4096) page[at] = 1;
      }
      if (::write(done[1], "d", 1) != 1) ::_exit(2);
      for (;;) ::pause();
    }
    writeEnd.reset();
    char byte = 0;
    if (holder_ < 0 || ::read(readEnd.get(), &byte, 1) != 1) throw std::runtime_error("groups cannot be joined");
  }
  // A process goes through the first `count` groups each second and spends some CPU in each, until rest().
  void work(unsigned count, std::chrono::milliseconds second) {
    std::vector<UniqueFd> doors;
    for (unsigned i = 0; i < count; ++i) {
      for (const auto& [kind, directory] : open(i).directories) {
        if (kind != DescriptorKind::unified) continue;
        auto door = files::openAt(directory.get(), "cgroup.procs", O_WRONLY);
        if (!door) throw std::runtime_error(door.error().message());
        doors.push_back(std::move(door).value());
      }
    }
    worker_ = ::fork();
    if (worker_ < 0) throw std::runtime_error("fork failed");
    if (worker_ > 0) return;
    ::prctl(PR_SET_PDEATHSIG, SIGKILL);
    for (auto next = Clock::now();; std::this_thread::sleep_until(next)) {
      next += second;
      for (const auto& door : doors) {
        if (::write(door.get(), "0", 1) != 1) ::_exit(1);
        const auto until = Clock::now() + std::chrono::microseconds(20);
        while (Clock::now() < until) {
        }
      }
    }
  }
  void rest() { end(std::exchange(worker_, -1)); }
  [[nodiscard]] std::size_t count() const { return inodes_.size(); }
  [[nodiscard]] std::uint64_t inode(unsigned i) const { return inodes_.at(i); }
  [[nodiscard]] cgroups::Group open(unsigned i) const {
    auto group = tree_->openInstance(1 + i / kOfATenantGroup, nameOf(i));
    if (!group) throw std::runtime_error(group.error().message());
    return std::move(group).value();
  }
  [[nodiscard]] const std::string& whyNoMore() const { return end_; }
  [[nodiscard]] const char* layout() const {
    return tree_->layout() == cgroups::Layout::unified ? "v2" : "v1 beside v2";
  }
  [[nodiscard]] static std::string nameOf(unsigned i) { return "in-" + std::to_string(i) + "-1"; }

 private:
  static void end(pid_t child) {
    if (child <= 0) return;
    ::kill(child, SIGKILL);
    ::waitpid(child, nullptr, 0);
  }

  std::unique_ptr<cgroups::Tree> tree_;
  std::vector<std::uint64_t> inodes_;
  std::string end_;  // why there are no more
  pid_t holder_ = -1;
  pid_t worker_ = -1;
};

enum class Files { eachSecond, all };

// The files that CgroupReader reads, of groups `first` to `end`.
std::vector<UniqueFd> filesOf(const Groups& groups, unsigned first, unsigned end, Files which) {
  const std::map<DescriptorKind, std::vector<const char*>> legacy = {
      {DescriptorKind::unified, {"cpu.stat"}},
      {DescriptorKind::memory, {"memory.usage_in_bytes"}},
  };
  const std::map<DescriptorKind, std::vector<const char*>> legacyRest = {
      {DescriptorKind::cpu, {"cpu.stat"}},
      {DescriptorKind::memory, {"memory.max_usage_in_bytes", "memory.oom_control"}},
      {DescriptorKind::blkio, {"blkio.throttle.io_service_bytes_recursive"}},
      {DescriptorKind::pids, {"pids.current", "pids.peak"}},
  };
  const std::map<DescriptorKind, std::vector<const char*>> unified = {
      {DescriptorKind::unified, {"cpu.stat", "memory.current"}}};
  const std::map<DescriptorKind, std::vector<const char*>> unifiedRest = {
      {DescriptorKind::unified, {"memory.peak", "memory.events", "io.stat", "pids.current", "pids.peak"}}};
  std::vector<UniqueFd> files;
  for (unsigned i = first; i < end; ++i) {
    const auto group = groups.open(i);
    const bool pure = group.directories.size() == 1;
    for (const auto& [kind, directory] : group.directories) {
      for (const auto* names : {pure ? &unified : &legacy, pure ? &unifiedRest : &legacyRest}) {
        const auto found = names->find(kind);
        if (found == names->end() || (which == Files::eachSecond && (names == &unifiedRest || names == &legacyRest)))
          continue;
        for (const char* name : found->second) {
          auto file = files::openAt(directory.get(), name, O_RDONLY);
          if (file) files.push_back(std::move(file).value());
        }
      }
    }
  }
  return files;
}

struct Cost {
  double adding = 0;   // microseconds a group, durable
  double percent = 0;  // of a core
  double sampling = 0;
  double floorUsual = 0;
  double floorAll = 0;
  double rows = 0;  // in ten seconds
};

struct Pace {
  unsigned rounds = 20;
  std::chrono::milliseconds pause{1000};
};

// CPU that `act` takes when it is done each `pause`, in percent of a core; a round stands for a second.
template <typename Act>
double paced(const Pace& pace, const Act& act) {
  double cpu = 0;
  auto next = Clock::now();
  for (unsigned i = 0; i < pace.rounds; ++i) {
    const double before = ownCpu();
    act();
    cpu += ownCpu() - before;
    next += pace.pause;
    std::this_thread::sleep_until(next);
  }
  return cpu / pace.rounds * 100;
}

double floorOf(const Groups& groups, unsigned first, unsigned end, Files which, const Pace& pace) {
  const auto files = filesOf(groups, first, end, which);
  std::array<char, 1024> buffer{};
  return paced({std::min(pace.rounds, 5U), pace.pause}, [&] {
    for (const auto& file : files) (void)counters::readAgain(file.get(), buffer.data(), buffer.size());
  });
}

void sampleAll(const Groups& groups, unsigned first, unsigned end, const Pace& pace, Cost& cost) {
  const Scratch scratch;
  auto boot = counters::bootId();
  auto spool = metering::Spool::open(scratch.path() + "/spool.db", "bench");
  const auto key = metering::SigningKey::fromSeed(std::string(32, 'h'));
  if (!boot || !spool || !key) throw std::runtime_error("no spool");
  auto sampler = metering::Sampler::open(**spool, *boot, *key);
  if (!sampler) throw std::runtime_error(sampler.error().message());
  // Seconds of the bench's own clocks, so that a window ends each tenth round whatever the pause.
  auto at = metering::now();
  at.utcMicros -= at.utcMicros % metering::kWindowMicros;
  double adding = 0;
  for (unsigned i = first; i < end; ++i) {
    const std::string tail = std::to_string(i) + "-0123456789ab";
    const metering::Subject subject{Groups::nameOf(i), "tn-" + tail,    "ap-" + tail,
                                    "in-" + tail,      groups.inode(i), {64ULL << 20U}};
    auto descriptors = groups.open(i).directories;
    auto upper = files::openDirectory(scratch.path());
    if (!upper) throw std::runtime_error(upper.error().message());
    descriptors.emplace_back(DescriptorKind::upper, std::move(upper).value());
    const double before = ownCpu();
    auto added = (*sampler)->add(subject, descriptors, metering::Origin::launched, at);
    if (!added) throw std::runtime_error(added.error().message());
    adding += ownCpu() - before;
  }
  cost.adding = adding / (end - first) * 1e6;
  double sampling = 0;
  std::size_t rows = 0;
  const auto round = [&] {
    at.bootNanos += 1'000'000'000;
    at.utcMicros += 1'000'000;
    const double before = ownCpu();
    if ((*sampler)->sample(at) != 0) throw std::runtime_error("groups cannot be read");
    sampling += ownCpu() - before;
    auto sealed = (*sampler)->flush(at);
    if (!sealed) throw std::runtime_error(sealed.error().message());
    rows += *sealed;
  };
  round();  // the first one commits all groups as young ones
  sampling = 0;
  rows = 0;
  cost.percent = paced(pace, round);
  cost.sampling = sampling / pace.rounds * 100;
  cost.rows = static_cast<double>(rows) * 10 / pace.rounds;
}

// In a process of its own; the cost comes through the pipe.
[[noreturn]] void readApart(const Groups& groups, unsigned first, unsigned end, const Pace& pace, int pipe) {
  Cost cost;
  try {
    sampleAll(groups, first, end, pace, cost);
    cost.floorUsual = floorOf(groups, first, end, Files::eachSecond, pace);
    cost.floorAll = floorOf(groups, first, end, Files::all, pace);
  } catch (const std::exception& error) {
    std::fprintf(stderr, "bench_metering: %s\n", error.what());
    ::_exit(1);
  }
  ::_exit(::write(pipe, &cost, sizeof cost) == static_cast<ssize_t>(sizeof cost) ? 0 : 1);
}

Cost measure(const Groups& groups, unsigned count, unsigned processes, const Pace& pace) {
  std::array<int, 2> pipe{};
  if (::pipe2(pipe.data(), O_CLOEXEC) != 0) throw std::runtime_error("pipe failed");
  const UniqueFd readEnd(pipe[0]);
  UniqueFd writeEnd(pipe[1]);
  std::vector<pid_t> children;
  for (unsigned i = 0; i < processes; ++i) {
    const pid_t child = ::fork();
    if (child < 0) throw std::runtime_error("fork failed");
    if (child == 0) readApart(groups, count / processes * i, count / processes * (i + 1), pace, writeEnd.get());
    children.push_back(child);
  }
  writeEnd.reset();
  Cost sum;
  unsigned came = 0;
  for (Cost one; ::read(readEnd.get(), &one, sizeof one) == static_cast<ssize_t>(sizeof one); ++came) {
    sum.adding += one.adding / processes;
    sum.percent += one.percent;
    sum.sampling += one.sampling;
    sum.floorUsual += one.floorUsual;
    sum.floorAll += one.floorAll;
    sum.rows += one.rows;
  }
  for (const pid_t child : children) ::waitpid(child, nullptr, 0);
  if (came != processes) throw std::runtime_error("a reader failed");
  return sum;
}

void print(const char* groups, unsigned count, unsigned processes, const Cost& cost) {
  std::printf("%8s %10u %14.2f %12.2f %14.2f %16.2f %16.2f %10.0f %12.0f\n", groups, processes, cost.percent,
              cost.percent / count * 1e4, cost.sampling / count * 1e4, cost.floorUsual, cost.floorAll, cost.rows,
              cost.adding);
  std::fflush(stdout);
}

// As many descriptors as a node may have, or as this machine gives.
rlim_t raiseDescriptors() {
  rlimit files{};
  ::getrlimit(RLIMIT_NOFILE, &files);
  rlimit wanted{kOpenFiles, std::max(files.rlim_max, kOpenFiles)};
  if (::setrlimit(RLIMIT_NOFILE, &wanted) == 0) return wanted.rlim_cur;
  files.rlim_cur = files.rlim_max;
  ::setrlimit(RLIMIT_NOFILE, &files);
  return files.rlim_cur;
}

}  // namespace

bool meterCost(Size size) {
  const rlim_t descriptors = raiseDescriptors();
  const bool quick = size == Size::quick;
  const std::vector<unsigned> sizes =
      quick ? std::vector<unsigned>{200, 400} : std::vector<unsigned>{kHeld, 2000, 5000, 10'000};
  Pace pace;
  if (quick) pace = {10, std::chrono::milliseconds(100)};
  Groups groups(sizes.back());
  groups.charge();
  std::printf(
      "reading each second, cgroups %s, %llu descriptors a process\n%8s %10s %14s %12s %14s %16s %16s %10s %12s\n",
      groups.layout(), static_cast<unsigned long long>(descriptors), "groups", "processes", "% of a core", "us a group",
      "of it reading", "pread, usual %", "pread, all %", "rows/10 s", "us to add 1");
  std::vector<double> each;
  bool good = true;
  for (const unsigned count : sizes) {
    if (groups.count() < count) {
      std::printf("%8u not made: the machine gave %zu groups: %s\n", count, groups.count(), groups.whyNoMore().c_str());
      continue;
    }
    unsigned processes = 1;
    while (count / processes * kFilesOfAGroup + kSpareFiles > descriptors) ++processes;
    const Cost cost = measure(groups, count, processes, pace);
    each.push_back(cost.percent / count * 1e4);
    print(std::to_string(count).c_str(), count, processes, cost);
    if (count == kHeld) good = cost.percent < (emulated() ? kMostOfPread * cost.floorAll : kMostOfACore);
    if (count == sizes.front()) {
      groups.work(count, pace.pause);
      const Cost busy = measure(groups, count, processes, pace);
      groups.rest();
      print("busy", count, processes, busy);
    }
  }
  if (each.size() > 1) {
    std::printf("cost a group, largest to smallest size: %.2f\n", each.back() / each.front());
    good = good && each.back() / each.front() < kMostGrowth;
  }
  return good;
}

}  // namespace cloister::bench
