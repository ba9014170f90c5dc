// bench_launch: how long it takes to start busybox `true` confined, wait for it and clean up, by each contestant, in
// turn within each round, so that a noisy machine is noisy for all. Ratios count; milliseconds are this machine's.
//
//   bench_launch FLOOR LAUNCHER ROUNDS
#include <algorithm>
#include <charconv>
#include <chrono>
#include <cmath>
#include <cstdio>
#include <exception>
#include <string>
#include <vector>

#include "tests/bench/contestants.h"

namespace {

using cloister::bench::Contestant;

struct Row {
  std::string name;
  std::vector<double> millis;
  std::string note;
};

double quantile(std::vector<double> values, double q) {
  if (values.empty()) return std::nan("");
  std::sort(values.begin(), values.end());
  const double position = q * static_cast<double>(values.size() - 1);
  return values.at(static_cast<std::size_t>(std::lround(position)));
}

void measure(const std::vector<Contestant>& contestants, std::vector<Row>& rows, unsigned rounds) {
  constexpr unsigned kWarmUp = 2;
  for (unsigned round = 0; round < rounds + kWarmUp; ++round) {
    for (std::size_t i = 0; i < contestants.size(); ++i) {
      Row& row = rows.at(i);
      if (!row.note.empty()) continue;
      const auto begin = std::chrono::steady_clock::now();
      const std::string failure = contestants.at(i).run(round);
      const std::chrono::duration<double, std::milli> took = std::chrono::steady_clock::now() - begin;
      if (!failure.empty()) {
        row.note = "failed: " + failure;
      } else if (round >= kWarmUp) {
        row.millis.push_back(took.count());
      }
    }
  }
}

void print(const std::vector<Row>& rows, unsigned rounds) {
  double floor = std::nan("");
  for (const Row& row : rows) {
    if (row.name == "floor") floor = quantile(row.millis, 0.5);
  }
  std::printf("start, wait for and remove busybox true; %u interleaved rounds\n", rounds);
  std::printf("%-34s %10s %10s %10s\n", "", "median ms", "p99 ms", "x floor");
  for (const Row& row : rows) {
    if (!row.note.empty()) {
      std::printf("%-34s %s\n", row.name.c_str(), row.note.c_str());
      continue;
    }
    const double median = quantile(row.millis, 0.5);
    std::printf("%-34s %10.2f %10.2f %10.2f\n", row.name.c_str(), median, quantile(row.millis, 0.99), median / floor);
  }
}

int run(const std::string& floor, const std::string& launcher, unsigned rounds) {
  cloister::bench::Host host(launcher);
  host.startLauncher();
  std::vector<double> plainLaunch;
  std::vector<double> linkedLaunch;
  auto contestants = cloister::bench::rivals(host, floor);
  contestants.push_back(cloister::bench::cloister(host, cloister::bench::Link::loopbackOnly, plainLaunch));
  contestants.push_back(cloister::bench::cloister(host, cloister::bench::Link::tenantNetwork, linkedLaunch));
  std::vector<Row> rows;
  for (const Contestant& contestant : contestants)
    rows.push_back({.name = contestant.name, .millis = {}, .note = contestant.absent});
  measure(contestants, rows, rounds);
  const bool oursFailed = !rows.back().note.empty() || !rows.at(rows.size() - 2).note.empty();
  rows.push_back({.name = "cloister: request to exec", .millis = plainLaunch, .note = {}});
  rows.push_back({.name = "cloister, network: request to exec", .millis = linkedLaunch, .note = {}});
  print(rows, rounds);
  return oursFailed ? 1 : 0;
}

}  // namespace

int main(int argc, char** argv) {
  unsigned rounds = 0;
  const std::string text = argc == 4 ? argv[3] : "";
  if (std::from_chars(text.data(), text.data() + text.size(), rounds).ec != std::errc{} || rounds == 0 ||
      rounds > 200) {
    std::fputs("usage: bench_launch FLOOR LAUNCHER ROUNDS   (1 to 200 rounds)\n", stderr);
    return 2;
  }
  try {
    return run(argv[1], argv[2], rounds);
  } catch (const std::exception& error) {
    std::fprintf(stderr, "bench_launch: %s\n", error.what());
    return 1;
  }
}
