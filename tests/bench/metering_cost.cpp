// What reading all groups each second costs: the node's own Sampler over real groups, made as the launcher makes them,
// in real time and with its windows and commits, beside a plain pread of the same files.
//
// One instance a tenant, in the tenant's group, whose own CPU is read as each window ends; each instance has memory
// charged and CPU spent, and an upper whose use is asked for. They are idle, as most are; the smallest number is
// measured once more with a process that goes through all groups each second and spends CPU in each, for those that
// work are read in full more often. What is counted is the CPU of the reading process; the launcher's answer about the
// network is not in it. A process of a node may have 65,536 descriptors, and a machine may allow fewer: sizes beyond
// that are read by several processes side by side, and their CPU is added up. Where the machine does not give so many
// groups, the table ends before them.
#include <fcntl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <chrono>
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
#include "tests/bench/metered_groups.h"
#include "tests/bench/metering_modes.h"
#include "tests/bench/scratch.h"

namespace cloister::bench {
namespace {

using launcher::DescriptorKind;
using Clock = std::chrono::steady_clock;

constexpr unsigned kHeld = 1000;
constexpr double kMostOfACore = 1.5;     // percent, for as many
constexpr rlim_t kOpenFiles = 65'536;    // as in the systemd units
constexpr unsigned kFilesOfAGroup = 11;  // at most, that a reader keeps open, with its tenant's
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

enum class Files { eachSecond, all };

// The files that CgroupReader reads, of groups `first` to `end`.
std::vector<UniqueFd> filesOf(const MeteredGroups& groups, unsigned first, unsigned end, Files which) {
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

double floorOf(const MeteredGroups& groups, unsigned first, unsigned end, Files which, const Pace& pace) {
  const auto files = filesOf(groups, first, end, which);
  std::array<char, 1024> buffer{};
  return paced({std::min(pace.rounds, 5U), pace.pause}, [&] {
    for (const auto& file : files) (void)counters::readAgain(file.get(), buffer.data(), buffer.size());
  });
}

void sampleAll(const MeteredGroups& groups, unsigned first, unsigned end, const Pace& pace, Cost& cost) {
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
  struct Tenant {
    std::string id;
    UniqueFd cpuStat;
  };
  std::vector<Tenant> tenants;
  double adding = 0;
  for (unsigned i = first; i < end; ++i) {
    const std::string tail = std::to_string(i) + "-0123456789ab";
    const metering::Subject subject{MeteredGroups::nameOf(i), "tn-" + tail,  "ap-" + tail, "in-" + tail,
                                    groups.inode(i),          {64ULL << 20U}};
    auto descriptors = groups.open(i).directories;
    auto upper = files::openDirectory(scratch.path());
    if (!upper) throw std::runtime_error(upper.error().message());
    descriptors.emplace_back(DescriptorKind::upper, std::move(upper).value());
    const double before = ownCpu();
    auto added = (*sampler)->add(subject, std::move(descriptors), metering::Origin::launched, at);
    if (!added) throw std::runtime_error(added.error().message());
    adding += ownCpu() - before;
    tenants.push_back({subject.tenantId, groups.cpuOfTenant(i)});
  }
  cost.adding = adding / (end - first) * 1e6;
  double sampling = 0;
  std::size_t rows = 0;
  const auto round = [&] {
    at.bootNanos += 1'000'000'000;
    at.utcMicros += 1'000'000;
    if (at.utcMicros % metering::kWindowMicros == 0) {
      for (const auto& tenant : tenants) {
        std::array<char, 1024> buffer{};
        const auto text = counters::readAgain(tenant.cpuStat.get(), buffer.data(), buffer.size());
        const auto micros = text ? metering::parseKey(*text, "usage_usec") : std::nullopt;
        if (!micros) throw std::runtime_error("a tenant's group cannot be read");
        (*sampler)->tenantGroup(tenant.id, 1, *micros * 1000, at);
      }
    }
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
[[noreturn]] void readApart(const MeteredGroups& groups, unsigned first, unsigned end, const Pace& pace, int pipe) {
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

Cost measure(const MeteredGroups& groups, unsigned count, unsigned processes, const Pace& pace) {
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
  std::vector<unsigned> sizes = {kHeld, 2000, 5000, 10'000};
  if (quick) sizes = {200, 400};
  Pace pace;
  if (quick) pace = {10, std::chrono::milliseconds(100)};
  MeteredGroups groups(sizes.back());
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
