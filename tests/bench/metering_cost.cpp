// What reading all groups each second costs: the node's own Sampler over real groups, made as the launcher makes them,
// in real time and with its windows and commits, beside a plain pread of the same files.
//
// One instance a tenant; each group has memory charged and CPU spent. What is counted is the CPU of this process; no
// process runs in the groups, and the launcher's answer about the network is not in it. Sizes of ten thousand need some
// hundred thousand descriptors, and groups that the machine may not give: then the table ends before them.
#include <fcntl.h>
#include <sys/mman.h>
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
#include <filesystem>
#include <stdexcept>
#include <thread>
#include <vector>

#include "metering/readings/sampler.h"
#include "sandbox/base/counters.h"
#include "sandbox/base/files.h"
#include "sandbox/cgroups/cgroups.h"
#include "tests/bench/metering_modes.h"

namespace cloister::bench {
namespace {

using launcher::DescriptorKind;
using Clock = std::chrono::steady_clock;

constexpr unsigned kOfATenantGroup = 250;  // instances below one tenant's group: the tree of 40 tenants is deep enough
constexpr double kMostOfACore = 1.5;       // percent, for a thousand
constexpr double kMostGrowth = 1.35;       // of the cost a group, from the smallest size to the largest

double ownCpu() {
  timespec time{};
  ::clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &time);
  return static_cast<double>(time.tv_sec) + static_cast<double>(time.tv_nsec) / 1e9;
}

// Directories of our own for the spool, gone with the object.
class Scratch {
 public:
  Scratch() {
    std::string pattern = (std::filesystem::temp_directory_path() / "cloister-bench-XXXXXX").string();
    if (::mkdtemp(pattern.data()) == nullptr) throw std::runtime_error("mkdtemp failed");
    path = pattern;
  }
  ~Scratch() {
    std::error_code ignored;
    std::filesystem::remove_all(path, ignored);
  }
  Scratch(const Scratch&) = delete;
  Scratch& operator=(const Scratch&) = delete;
  std::string path;
};

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
      made_.push_back(std::move(made).value());
    }
  }
  ~Groups() {
    if (holder_ > 0) {
      ::kill(holder_, SIGKILL);
      ::waitpid(holder_, nullptr, 0);
    }
    made_.clear();
    for (unsigned i = 0; i < count_; ++i) (void)tree_->removeInstance(1 + i / kOfATenantGroup, nameOf(i), 1000);
    if (auto gone = tree_->removeAll(); !gone) std::fprintf(stderr, "%s\n", gone.error().message().c_str());
  }
  Groups(const Groups&) = delete;
  Groups& operator=(const Groups&) = delete;

  // A process goes through all groups and leaves a page charged to each, which it holds.
  void charge() {
    count_ = static_cast<unsigned>(made_.size());
    std::array<int, 2> done{};
    if (::pipe2(done.data(), O_CLOEXEC) != 0) throw std::runtime_error("pipe failed");
    const UniqueFd readEnd(done[0]);
    UniqueFd writeEnd(done[1]);
    holder_ = ::fork();
    if (holder_ == 0) {
      for (const auto& group : made_) {
        (void)tree_->join(group, ::getpid(), cgroups::Tree::Born::elsewhere);
        auto* page =
            static_cast<char*>(::mmap(nullptr, 65'536, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
        if (page == MAP_FAILED) ::_exit(1);
        for (int i = 0; i < 65'536; i += 4096) page[i] = 1;
      }
      if (::write(done[1], "d", 1) != 1) ::_exit(2);
      for (;;) ::pause();
    }
    writeEnd.reset();
    char byte = 0;
    if (holder_ < 0 || ::read(readEnd.get(), &byte, 1) != 1) throw std::runtime_error("groups cannot be joined");
  }
  [[nodiscard]] const std::vector<cgroups::Group>& all() const { return made_; }
  [[nodiscard]] const std::string& end() const { return end_; }
  [[nodiscard]] const char* layout() const {
    return tree_->layout() == cgroups::Layout::unified ? "v2" : "v1 beside v2";
  }
  [[nodiscard]] static std::string nameOf(unsigned i) { return "in-" + std::to_string(i) + "-1"; }

 private:
  std::unique_ptr<cgroups::Tree> tree_;
  std::vector<cgroups::Group> made_;
  unsigned count_ = 0;
  std::string end_;  // why there are no more
  pid_t holder_ = -1;
};

metering::GroupDescriptors copyOf(const cgroups::Group& group) {
  metering::GroupDescriptors list;
  for (const auto& [kind, directory] : group.directories) {
    auto copy = counters::duplicate(directory.get());
    if (!copy) throw std::runtime_error(copy.error().message());
    list.emplace_back(kind, std::move(copy).value());
  }
  return list;
}

// The files that CgroupReader reads.
std::vector<UniqueFd> filesOf(const std::vector<cgroups::Group>& groups, std::size_t count) {
  std::vector<UniqueFd> files;
  for (std::size_t i = 0; i < count; ++i) {
    const bool pure = groups[i].directories.size() == 1;
    for (const auto& [kind, directory] : groups[i].directories) {
      std::vector<const char*> names;
      if (kind == DescriptorKind::unified) names = {"cpu.stat"};
      if (pure)
        names = {"cpu.stat", "memory.current", "memory.peak", "memory.events", "io.stat", "pids.current", "pids.peak"};
      if (kind == DescriptorKind::cpu) names = {"cpu.stat"};
      if (kind == DescriptorKind::memory)
        names = {"memory.usage_in_bytes", "memory.max_usage_in_bytes", "memory.oom_control"};
      if (kind == DescriptorKind::blkio) names = {"blkio.throttle.io_service_bytes_recursive"};
      if (kind == DescriptorKind::pids) names = {"pids.current", "pids.peak"};
      for (const char* name : names) {
        auto file = files::openAt(directory.get(), name, O_RDONLY);
        if (file) files.push_back(std::move(file).value());
      }
    }
  }
  return files;
}

struct Cost {
  double percent = 0;  // of a core
  double sampling = 0;
  double files = 0;  // a group
  double floor = 0;
  std::size_t rows = 0;
};

// CPU that `act`, done each `pause`, takes for the length of `rounds` of them, in percent of a core.
template <typename Act>
double paced(unsigned rounds, std::chrono::milliseconds pause, const Act& act) {
  double cpu = 0;
  auto next = Clock::now();
  for (unsigned i = 0; i < rounds; ++i) {
    const double before = ownCpu();
    act();
    cpu += ownCpu() - before;
    next += pause;
    std::this_thread::sleep_until(next);
  }
  return cpu / rounds * 100;  // a round stands for a second
}

Cost measure(const Groups& groups, std::size_t count, unsigned rounds, std::chrono::milliseconds pause) {
  const Scratch scratch;
  auto boot = counters::bootId();
  auto spool = metering::Spool::open(scratch.path + "/spool.db", "bench");
  if (!boot || !spool) throw std::runtime_error("no spool");
  auto sampler = metering::Sampler::open(**spool, *boot);
  if (!sampler) throw std::runtime_error(sampler.error().message());
  // Seconds of the bench's own clocks, so that a window ends each tenth round whatever the pause.
  auto at = metering::now();
  at.utcMicros -= at.utcMicros % metering::kWindowMicros;
  for (std::size_t i = 0; i < count; ++i) {
    const auto number = std::to_string(i);
    const metering::Subject subject{Groups::nameOf(static_cast<unsigned>(i)),
                                    "tn-" + number + "-0123456789ab",
                                    "ap-" + number + "-0123456789ab",
                                    "in-" + number + "-0123456789ab",
                                    groups.all()[i].inode,
                                    {64ULL << 20U}};
    if (auto added = (*sampler)->add(subject, copyOf(groups.all()[i]), metering::Origin::launched, at); !added)
      throw std::runtime_error(added.error().message());
  }
  Cost cost;
  double sampling = 0;
  const auto round = [&] {
    at.bootNanos += 1'000'000'000;
    at.utcMicros += 1'000'000;
    const double before = ownCpu();
    if ((*sampler)->sample(at) != 0) throw std::runtime_error("groups cannot be read");
    sampling += ownCpu() - before;
    auto sealed = (*sampler)->flush(at);
    if (!sealed) throw std::runtime_error(sealed.error().message());
    cost.rows += *sealed;
  };
  round();  // the first one commits all groups as young ones
  sampling = 0;
  cost.percent = paced(rounds, pause, round);
  cost.sampling = sampling / rounds * 100;
  const auto files = filesOf(groups.all(), count);
  std::array<char, 16'384> buffer{};
  cost.floor = paced(std::min(rounds, 5U), pause, [&] {
    for (const auto& file : files) (void)counters::readAgain(file.get(), buffer.data(), buffer.size());
  });
  cost.files = static_cast<double>(files.size()) / static_cast<double>(count);
  return cost;
}

}  // namespace

bool meterCost(Size size) {
  rlimit files{};
  ::getrlimit(RLIMIT_NOFILE, &files);
  files.rlim_max = std::max<rlim_t>(files.rlim_max, 500'000);
  files.rlim_cur = files.rlim_max;
  if (::setrlimit(RLIMIT_NOFILE, &files) != 0) {
    ::getrlimit(RLIMIT_NOFILE, &files);
    files.rlim_cur = files.rlim_max;
    ::setrlimit(RLIMIT_NOFILE, &files);
  }
  const std::vector<unsigned> sizes =
      size == Size::quick ? std::vector<unsigned>{200, 400} : std::vector<unsigned>{1000, 2000, 5000, 10'000};
  const unsigned rounds = size == Size::quick ? 10 : 20;
  const std::chrono::milliseconds pause(size == Size::quick ? 100 : 1000);
  Groups groups(sizes.back());
  groups.charge();
  std::printf("reading each second, %s, %llu descriptors allowed\n%8s %12s %14s %14s %12s %14s %12s\n", groups.layout(),
              static_cast<unsigned long long>(files.rlim_cur), "groups", "% of a core", "us a group", "of it reading",
              "files each", "plain pread %", "rows/10 s");
  std::vector<double> each;
  bool good = true;
  for (const unsigned count : sizes) {
    if (groups.all().size() < count) {
      std::printf("%8u not made: the machine gave %zu groups: %s\n", count, groups.all().size(), groups.end().c_str());
      continue;
    }
    const Cost cost = measure(groups, count, rounds, pause);
    each.push_back(cost.percent / count * 1e4);
    std::printf("%8u %12.2f %14.2f %14.2f %12.1f %14.2f %12zu\n", count, cost.percent, each.back(),
                cost.sampling / count * 1e4, cost.files, cost.floor, cost.rows * 10 / rounds);
    std::fflush(stdout);
    if (count == 1000) good = cost.percent < kMostOfACore;
  }
  if (each.size() > 1) {
    std::printf("cost a group, largest to smallest size: %.2f\n", each.back() / each.front());
    good = good && each.back() / each.front() < kMostGrowth;
  }
  return good;
}

}  // namespace cloister::bench
