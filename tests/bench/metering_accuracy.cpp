// Accuracy of the metered CPU. Jobs with exponential lifetimes run in containers of a real node and launcher; each
// job's CPU as the server gets it is held against the kernel's account of the container's processes (metering_truth.h).
//
// The fair truth is the whole container's: what cloister-init, its start and its end spend is spent for that start
// alone, by processes of the tenant's ids under the tenant's limits, and a tenant whose app starts each second costs
// the host just that. It is billed, and shown apart: "ours" is the container's CPU less what the job says of itself.
// On cgroup v1 as on v2 the child is born in the unified group, whose cpu.stat is read: nothing stays with the parent.
//
// Meanwhile the node is killed ten times and the launcher once, and the server loses every seventh answer.
#include <algorithm>
#include <chrono>
#include <cmath>
#include <csignal>
#include <cstdio>
#include <deque>
#include <random>
#include <set>
#include <stdexcept>
#include <thread>
#include <vector>

#include "tests/bench/bench_node.h"
#include "tests/bench/metering_modes.h"
#include "tests/bench/metering_truth.h"
#include "tests/bench/tables.h"

namespace cloister::bench {
namespace {

using Clock = std::chrono::steady_clock;
using metering::Meter;

constexpr unsigned kTenants = 4;
constexpr unsigned kAtOnce = 12;
constexpr unsigned kPlaces = 200;  // addresses of a tenant, in turn
constexpr unsigned kNodeKills = 10;
constexpr double kShortest = 30;  // milliseconds
constexpr double kMean = 1000;
constexpr std::chrono::minutes kPatience{14};
constexpr std::chrono::minutes kQuickPatience{2};
// A reading of cpu.stat drops what is below a microsecond, and wait4 does twice.
constexpr double kToleratedMicros = 5;

struct Job {
  std::string id;
  unsigned tenant = 0;
  unsigned place = 0;
  unsigned life = 0;  // milliseconds
  unsigned cpu = 0;
};

std::vector<Job> makeJobs(unsigned count) {
  std::mt19937 random(20'261'130);
  std::exponential_distribution<double> lives(1 / kMean);
  std::vector<Job> jobs;
  for (unsigned i = 0; i < count; ++i) {
    Job job;
    job.id = "job-" + std::to_string(i);
    job.tenant = i % kTenants;
    job.place = 1 + (i / kTenants) % kPlaces;
    job.life = static_cast<unsigned>(std::max(lives(random), kShortest));
    // The short ones and every tenth burn all the time, the others a tenth of it: two cores have time for twelve.
    job.cpu = job.life < 100 || i % 10 == 0 ? job.life : job.life / 10;
    jobs.push_back(job);
  }
  return jobs;
}

// Keeps kAtOnce of the jobs running until each has ended by itself.
class Run {
 public:
  Run(Host& host, Node& node, std::vector<Job> jobs, unsigned kills, std::chrono::minutes patience)
      : host_(host), node_(node), jobs_(std::move(jobs)), kills_(kills), patience_(patience) {}

  void all() {
    const auto deadline = Clock::now() + patience_;
    while (ended_.size() < jobs_.size()) {
      if (Clock::now() > deadline) {
        throw std::runtime_error(std::to_string(ended_.size()) + " of " + std::to_string(jobs_.size()) +
                                 " jobs ended in time; an instance's last reason: " + lastReason_);
      }
      takeEnded();
      killWhenDue();
      fill();
      std::this_thread::sleep_for(std::chrono::milliseconds(10));
    }
    fill();
  }
  [[nodiscard]] unsigned nodeKills() const { return nodeKills_; }

 private:
  void takeEnded() {
    const auto status = node_.server().awaitStatus([](const auto&) { return true; }, 1);
    if (!status) return;
    for (const auto& report : status->instances) {
      lastReason_ = report.reason;
      // Any other reason: it was not launched, or nobody saw it end; the node starts it again.
      const bool ran =
          report.state == model::InstanceState::crashed && report.reason.starts_with("ended with exit code");
      if (!ran || !running_.contains(report.id)) continue;
      running_.erase(report.id);
      ended_.insert(report.id);
      changed_ = true;
    }
  }
  void fill() {
    for (; running_.size() < kAtOnce && next_ < jobs_.size(); ++next_) {
      running_[jobs_[next_].id] = &jobs_[next_];
      changed_ = true;
    }
    if (!changed_) return;
    changed_ = false;
    auto work = workOf(host_, kTenants);
    for (const auto& [id, job] : running_) {
      work.instances.push_back(
          instanceOf(host_, id, job->tenant, job->place,
                     "exec bench_metering_job " + std::to_string(job->life) + " " + std::to_string(job->cpu)));
    }
    node_.server().want(work);
  }
  // Spread over the jobs, at a moment of its own each.
  void killWhenDue() {
    const auto share = [this](unsigned n) { return ended_.size() * (kills_ + 1) >= jobs_.size() * n; };
    if (nodeKills_ < kills_ && share(nodeKills_ + 1)) {
      std::this_thread::sleep_for(std::chrono::milliseconds(random_() % 100));
      node_.stop(SIGKILL);
      ++nodeKills_;
      std::this_thread::sleep_for(std::chrono::milliseconds(random_() % 400));
      node_.start();
    }
    if (!launcherKilled_ && ended_.size() * 2 >= jobs_.size()) {
      host_.replaceLauncher();
      launcherKilled_ = true;
    }
  }

  Host& host_;
  Node& node_;
  std::vector<Job> jobs_;
  unsigned kills_;
  std::chrono::minutes patience_;
  std::string lastReason_;
  unsigned nodeKills_ = 0;
  bool launcherKilled_ = false;
  std::size_t next_ = 0;
  std::map<std::string, const Job*> running_;
  std::set<std::string> ended_;
  bool changed_ = false;
  std::mt19937 random_{1};
};

struct Metered {
  std::uint64_t nanos = 0;
  std::uint64_t lifeMillis = 0;
};

struct Compared {
  double life = 0;     // of the job, milliseconds
  double micros = 0;   // what is true
  double metered = 0;  // microseconds
  double own = 0;      // what the job says of itself; 0 when its word was lost with the node
  bool exact = true;   // false: killed, so the truth may be more
};

double ownMicros(const Host& host, const std::string& id) {
  std::ifstream log(host.path("state/node/instances/" + id + "/log/current"));
  double micros = 0;
  for (std::string line; std::getline(log, line);) {
    const auto at = line.find("\"cpu ");
    if (at != std::string::npos) micros += std::stod(line.substr(at + 5)) / 1e3;
  }
  return micros;
}

void printBucket(const char* name, const std::vector<Compared>& all, double from, double to) {
  std::vector<double> errors;
  std::vector<double> cpu;
  for (const auto& one : all) {
    if (!one.exact || one.life < from || one.life >= to) continue;
    errors.push_back(std::abs(one.metered - one.micros) / one.micros * 100);
    cpu.push_back(one.micros / 1e3);
  }
  std::printf("  %-22s %6zu %10.1f %12.4f %12.4f %12.4f\n", name, errors.size(), median(cpu), median(errors),
              quantile(errors, 0.99), errors.empty() ? NAN : *std::max_element(errors.begin(), errors.end()));
}

double worst(const std::vector<Compared>& all, double from) {
  double error = 0;
  for (const auto& one : all) {
    if (one.exact && one.life >= from) error = std::max(error, std::abs(one.metered - one.micros) / one.micros * 100);
  }
  return error;
}

std::map<std::string, Metered> meteredBy(test::FakeServer& server, std::map<std::string, std::uint64_t>& gaps,
                                         std::map<std::string, std::uint64_t>& tenants) {
  std::map<std::string, Metered> all;
  gaps.clear();
  tenants.clear();
  for (const auto& row : server.usage()) {
    if (row.meter == Meter::gap) ++gaps[row.note];
    if (row.meter == Meter::instanceSeconds) all[row.instanceId].lifeMillis += row.quantity;
    if (row.meter != Meter::cpu) continue;
    all[row.instanceId].nanos += row.quantity;
    tenants[row.tenantId] += row.quantity;
  }
  return all;
}

}  // namespace

bool meterAccuracy(const std::string& binaries, Size size) {
  const unsigned count = size == Size::quick ? 60 : 1000;
  Host host(binaries, kNodeUser, {"bench_metering_job"});
  const std::string lines = host.path("witness");
  std::ofstream(lines).flush();
  ::setenv("CLOISTER_WITNESS", lines.c_str(), 1);  // NOLINT(concurrency-mt-unsafe): there is one thread yet
  host.startLauncher(
      {.preload = host.program("bench_metering_witness.so"), .init = host.program("bench_metering_init")});
  const std::string groups = unifiedGroup(host.cgroupRoot());
  Truth truth(groups, lines);
  Node node(host);
  node.server().loseEveryAnswer(7);
  const auto jobs = makeJobs(count);
  const bool quick = size == Size::quick;
  Run run(host, node, jobs, quick ? 2 : kNodeKills, quick ? kQuickPatience : kPatience);
  const auto begin = Clock::now();
  run.all();
  const double seconds = std::chrono::duration<double>(Clock::now() - begin).count();

  // The last windows are closed and sent within fifteen seconds.
  std::map<std::string, std::uint64_t> gaps;
  std::map<std::string, std::uint64_t> tenants;
  std::map<std::string, Metered> metered;
  std::map<std::string, Spent> spent;
  std::size_t before = 0;
  for (int still = 0, tries = 0; still < 14 && tries < 60; ++tries) {
    std::this_thread::sleep_for(std::chrono::seconds(1));
    metered = meteredBy(node.server(), gaps, tenants);
    spent = truth.containers();
    const std::size_t rows = node.server().usage().size();
    still = rows == before ? still + 1 : 0;
    before = rows;
  }

  std::map<std::string, Compared> byJob;
  unsigned containers = 0;
  unsigned notSeen = 0;
  for (const auto& [container, one] : spent) {
    if (!container.starts_with("job-")) continue;
    ++containers;
    if (!one.ended) ++notSeen;
    auto& compared = byJob[container.substr(0, container.rfind('-'))];
    compared.micros += static_cast<double>(one.micros);
    compared.exact = compared.exact && one.ended && !one.killed;
  }
  unsigned lost = 0;
  unsigned doubled = 0;
  std::vector<Compared> all;
  std::vector<double> ours;
  std::vector<double> differences;
  for (const auto& job : jobs) {
    auto& one = byJob[job.id];
    const auto found = metered.find(job.id);
    one.life = job.life;
    one.metered = found == metered.end() ? 0 : static_cast<double>(found->second.nanos) / 1e3;
    one.own = ownMicros(host, job.id);
    if (found == metered.end() || one.metered + kToleratedMicros < one.micros) {
      ++lost;
      std::printf("lost: %s, %.0f of %.0f us\n", job.id.c_str(), one.metered, one.micros);
    }
    if (one.exact && one.metered > one.micros + kToleratedMicros) {
      ++doubled;
      std::printf("too much: %s, %.0f of %.0f us\n", job.id.c_str(), one.metered, one.micros);
    }
    if (one.exact && one.own > 0) ours.push_back((one.micros - one.own) / 1e3);
    if (one.exact) differences.push_back(one.metered - one.micros);
    all.push_back(one);
  }

  const auto batches = node.server().batches();
  std::printf(
      "%u jobs of %.0f s mean life, %u at once, in %.0f s; the node killed %u times, the launcher once\n"
      "  %u containers, %u of them without a truth; %llu batches taken, %llu repeated, %llu repeated with other rows\n",
      count, kMean / 1e3, kAtOnce, seconds, run.nodeKills(), containers, notSeen,
      static_cast<unsigned long long>(batches.taken), static_cast<unsigned long long>(batches.repeated),
      static_cast<unsigned long long>(batches.differing));
  std::printf("  %-22s %6s %10s %12s %12s %12s\n", "life of the job", "jobs", "CPU ms", "error %", "p99 %", "worst %");
  printBucket("30 to 60 ms", all, 0, 60);
  printBucket("60 ms to 1 s", all, 60, 1000);
  printBucket("over 1 s", all, 1000, 1e9);
  std::printf("  metered less true: median %.1f us, 1st to 99th percentile %.1f to %.1f us\n", median(differences),
              quantile(differences, 0.01), quantile(differences, 0.99));
  std::printf("  ours in a container's life: median %.2f ms, 99th percentile %.2f ms\n", median(ours),
              quantile(ours, 0.99));
  bool sums = true;
  for (const auto& [tenant, nanos] : tenants) {
    const unsigned index = kFirstTenant + static_cast<unsigned>(std::stoul(tenant.substr(3)));
    const auto group = static_cast<double>(groupMicros(groups + "/t" + std::to_string(index)));
    const double sum = static_cast<double>(nanos) / 1e3;
    // A microsecond for each container's last reading.
    const bool same = std::abs(group - sum) <= static_cast<double>(containers) + kToleratedMicros;
    std::printf("  %s: its instances %.0f us, its permanent group %.0f us%s\n", tenant.c_str(), sum, group,
                same ? "" : ": THEY DIFFER");
    sums = sums && same;
  }
  for (const auto& [note, rows] : gaps) {
    std::printf("  gap rows: %llu of \"%s\"\n", static_cast<unsigned long long>(rows), note.c_str());
  }
  std::printf("  %u lost, %u doubled\n", lost, doubled);
  return lost == 0 && doubled == 0 && sums && batches.differing == 0 && worst(all, 1000) < 0.02 && worst(all, 0) < 0.5;
}

}  // namespace cloister::bench
