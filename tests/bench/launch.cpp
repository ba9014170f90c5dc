// bench_launch: how long it takes to start busybox `true` confined, wait for it and clean up, by each contestant once a
// round, so that a noisy machine is noisy for all; each round in another order, so that nobody always runs in what the
// same other one left behind. A process that is written to a cgroup.procs makes the next twenty milliseconds of
// such writes cheap for all, for one. Ratios count; milliseconds are this machine's.
//
//   bench_launch BINARIES ROUNDS     BINARIES: the directory of cloister-launcher and the floors
#include <algorithm>
#include <atomic>
#include <charconv>
#include <chrono>
#include <cstdio>
#include <exception>
#include <numeric>
#include <random>
#include <string>
#include <thread>
#include <vector>

#include "tests/bench/contestants.h"
#include "tests/bench/tables.h"

namespace {

using namespace cloister::bench;
using Clock = std::chrono::steady_clock;

constexpr std::chrono::milliseconds kIdle{50};
constexpr unsigned kInFlight = 8;

// Names of containers must differ over the whole run.
std::atomic<unsigned> nextRound{0};

void measure(const std::vector<Contestant>& contestants, std::vector<Row>& rows, unsigned rounds,
             std::chrono::milliseconds pause) {
  constexpr unsigned kWarmUp = 2;
  std::vector<std::size_t> order(contestants.size());
  std::iota(order.begin(), order.end(), std::size_t{0});
  std::mt19937 shuffler;  // the same orders each time
  for (unsigned round = 0; round < rounds + kWarmUp; ++round) {
    std::shuffle(order.begin(), order.end(), shuffler);
    for (const std::size_t i : order) {
      Row& row = rows.at(i);
      if (!row.note.empty()) continue;
      std::this_thread::sleep_for(pause);
      const auto begin = Clock::now();
      Sample sample = contestants.at(i).run(nextRound++);
      const std::chrono::duration<double, std::milli> took = Clock::now() - begin;
      if (!sample.failure.empty()) {
        row.note = "failed: " + sample.failure;
      } else if (round >= kWarmUp) {
        row.whole.push_back(took.count());
        row.samples.push_back(std::move(sample));
      }
    }
  }
}

std::vector<Row> emptyRows(const std::vector<Contestant>& contestants) {
  std::vector<Row> rows;
  for (const Contestant& contestant : contestants)
    rows.push_back({.name = contestant.name, .note = contestant.absent, .whole = {}, .samples = {}});
  return rows;
}

void printRate(const Contestant& contestant, std::chrono::seconds duration) {
  if (!contestant.absent.empty()) {
    std::printf("%-32s %s\n", contestant.name.c_str(), contestant.absent.c_str());
    return;
  }
  std::atomic<unsigned> done{0};
  std::atomic<unsigned> failed{0};
  std::vector<std::thread> threads;
  const auto begin = Clock::now();
  for (unsigned i = 0; i < kInFlight; ++i) {
    threads.emplace_back([&] {
      while (Clock::now() < begin + duration) ++(contestant.run(nextRound++).failure.empty() ? done : failed);
    });
  }
  for (std::thread& thread : threads) thread.join();
  const std::chrono::duration<double> took = Clock::now() - begin;
  std::printf("%-32s %9.1f", contestant.name.c_str(), done / took.count());
  std::printf(failed == 0 ? "\n" : "   (%u failed)\n", failed.load());
}

bool failed(const std::vector<Row>& rows) {
  bool any = false;
  for (const Row& row : rows) any = any || (row.name.starts_with("cloister") && !row.note.empty());
  return any;
}

int run(const std::string& binaries, unsigned rounds) {
  Host host(binaries);
  host.startLauncher();
  host.mountLayer();
  const std::string userNamespace = host.holdUserNamespace();
  const std::string group = host.makeGroup("floor");
  const Contestant full = fullFloor(host, userNamespace, group, Link::loopbackOnly);
  const Contestant fullLinked = fullFloor(host, userNamespace, group, Link::tenantNetwork);
  const Contestant runc = ociRuntime(host, "runc", Bundle::confined);
  const Contestant runcBare = ociRuntime(host, "runc", Bundle::bare);
  const Contestant ours = cloisterLaunch(host, Link::loopbackOnly);
  const Contestant oursLinked = cloisterLaunch(host, Link::tenantNetwork);

  const std::vector<Contestant> all = {forkAndExec(host),
                                       bareFloor(host),
                                       full,
                                       fullLinked,
                                       bubblewrap(host),
                                       runcBare,
                                       runc,
                                       ociRuntime(host, "crun", Bundle::bare),
                                       ociRuntime(host, "crun", Bundle::confined),
                                       ours,
                                       oursLinked,
                                       cloisterExec(host)};
  std::vector<Row> rows = emptyRows(all);
  measure(all, rows, rounds, {});
  printComparison("start, wait for and remove busybox true: " + std::to_string(rounds) + " interleaved rounds", rows,
                  full.name);
  printStages(rows);
  bool bad = failed(rows);

  const std::vector<Contestant> afterIdleness = {full, fullLinked, ours, oursLinked};
  rows = emptyRows(afterIdleness);
  measure(afterIdleness, rows, rounds / 2 + 1, kIdle);
  printComparison("the same, each after 50 ms of idleness", rows, full.name);
  printStages(rows);
  bad = bad || failed(rows);

  std::printf("\n%u in flight, launches a second\n", kInFlight);
  const std::chrono::seconds duration{rounds >= 50 ? 5 : 2};
  for (const Contestant& contestant : {full, fullLinked, runcBare, runc, ours, oursLinked})
    printRate(contestant, duration);
  return bad ? 1 : 0;
}

}  // namespace

int main(int argc, char** argv) {
  unsigned rounds = 0;
  const std::string text = argc == 3 ? argv[2] : "";
  if (std::from_chars(text.data(), text.data() + text.size(), rounds).ec != std::errc{} || rounds == 0 ||
      rounds > 500) {
    std::fputs("usage: bench_launch BINARIES ROUNDS   (1 to 500 rounds)\n", stderr);
    return 2;
  }
  try {
    return run(argv[1], rounds);
  } catch (const std::exception& error) {
    std::fprintf(stderr, "bench_launch: %s\n", error.what());
    return 1;
  }
}
