// bench_seccomp: what the app class's filter costs, ours beside libseccomp's for the same profile: to compile, to load,
// and for each system call under it. Each contestant takes its turn in every round, in a process of its own, so that a
// noisy machine is noisy for all. Ratios count; microseconds are this machine's.
//
//   bench_seccomp ROUNDS
#include <linux/seccomp.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <chrono>
#include <cmath>
#include <cstdio>
#include <functional>
#include <string>
#include <vector>

#include "policy/model/seccomp.h"
#include "tests/unit/policy/model/libseccomp_reference.h"

namespace {

using cloister::policy::compile;
using cloister::policy::compileWithLibseccomp;
using Program = std::vector<sock_filter>;

constexpr unsigned kCalls = 5'000;

// In microseconds; what one process of one contestant saw.
struct Times {
  double compile = 0;   // from profile to program
  double load = 0;      // from program to a filter in force
  double cached = 0;    // a call that the kernel knows to be allowed
  double compared = 0;  // one whose argument the filter looks at
  double refused = 0;   // one that the filter answers
  bool complete = false;
};

struct Contestant {
  std::string name;
  std::function<Program()> program;  // an empty one: no filter
  std::vector<Times> seen;
};

double since(std::chrono::steady_clock::time_point begin) {
  return std::chrono::duration<double, std::micro>(std::chrono::steady_clock::now() - begin).count();
}

template <typename Call>
double each(const Call& call) {
  const auto begin = std::chrono::steady_clock::now();
  for (unsigned i = 0; i < kCalls; ++i) call();
  return since(begin) / kCalls;
}

void measure(Program& program, Times& times) {
  if (::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0) return;
  if (!program.empty()) {
    const auto begin = std::chrono::steady_clock::now();
    const sock_fprog filter{static_cast<unsigned short>(program.size()), program.data()};
    if (::syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, &filter) != 0) return;
    times.load = since(begin);
  }
  int pending = 0;
  times.cached = each([] { ::syscall(SYS_getppid); });
  times.compared = each([&] { ::syscall(SYS_ioctl, -1, FIONREAD, &pending); });
  times.refused = each([] { ::syscall(SYS_keyctl, 0, 0, 0, 0, 0); });
  times.complete = true;
}

bool takeTurn(Contestant& contestant, Times* shared) {
  *shared = Times{};
  const auto begin = std::chrono::steady_clock::now();
  Program program = contestant.program();
  shared->compile = since(begin);
  const pid_t child = ::fork();
  if (child == 0) {
    measure(program, *shared);
    ::_exit(0);
  }
  if (child < 0 || ::waitpid(child, nullptr, 0) != child || !shared->complete) return false;
  contestant.seen.push_back(*shared);
  return true;
}

double median(const std::vector<Times>& seen, double Times::*member) {
  std::vector<double> values;
  for (const Times& times : seen) values.push_back(times.*member);
  if (values.empty()) return std::nan("");
  std::sort(values.begin(), values.end());
  return values.at(values.size() / 2);
}

int run(unsigned rounds) {
  const auto& profile = cloister::policy::profileFor(cloister::launcher::Confinement::app);
  const auto ours = compile(profile);
  const auto reference = compileWithLibseccomp(profile);
  if (!ours || !reference) {
    std::fprintf(stderr, "bench_seccomp: %s\n", (ours.ok() ? reference.error() : ours.error()).message().c_str());
    return 1;
  }
  void* shared = ::mmap(nullptr, sizeof(Times), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  if (shared == MAP_FAILED) return 1;
  auto* times = new (shared) Times;
  std::array contestants = {
      Contestant{"no filter", [] { return Program{}; }, {}},
      // What the kernel takes for any filter.
      Contestant{"the shortest filter",
                 [] {
                   return Program{{BPF_RET | BPF_K, 0, 0, SECCOMP_RET_ALLOW}};
                 },
                 {}},
      Contestant{"ours", [&] { return *compile(profile); }, {}},
      Contestant{"libseccomp's", [&] { return *compileWithLibseccomp(profile); }, {}},
  };
  constexpr unsigned kWarmUp = 2;
  for (unsigned round = 0; round < rounds + kWarmUp; ++round) {
    if (round == kWarmUp) {
      for (Contestant& contestant : contestants) contestant.seen.clear();
    }
    for (Contestant& contestant : contestants) {
      if (!takeTurn(contestant, times)) {
        std::fprintf(stderr, "bench_seccomp: %s could not be measured\n", contestant.name.c_str());
        return 1;
      }
    }
  }
  std::printf("seccomp filter of the app class: %zu instructions of ours, %zu of libseccomp's; %u interleaved rounds\n",
              ours->size(), reference->size(), rounds);
  std::printf("%-22s %10s %10s %10s %12s %10s\n", "median, microseconds", "compile", "load", "allowed", "by argument",
              "refused");
  for (const Contestant& contestant : contestants) {
    const auto of = [&](double Times::*member) { return median(contestant.seen, member); };
    std::printf("%-22s %10.1f %10.1f %10.3f %12.3f %10.3f\n", contestant.name.c_str(), of(&Times::compile),
                of(&Times::load), of(&Times::cached), of(&Times::compared), of(&Times::refused));
  }
  // The launcher compiles when it starts, so a launch only loads; who uses libseccomp as it comes compiles each time.
  const double load = median(contestants[2].seen, &Times::load);
  const double theirs = median(contestants[3].seen, &Times::load);
  const double compiling = median(contestants[3].seen, &Times::compile);
  std::printf("a launch: %.2f x libseccomp's program compiled before, %.2f x libseccomp compiling at the launch\n",
              load / theirs, load / (theirs + compiling));
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  unsigned rounds = 0;
  const std::string text = argc == 2 ? argv[1] : "";
  if (std::from_chars(text.data(), text.data() + text.size(), rounds).ec != std::errc{} || rounds == 0 ||
      rounds > 1000) {
    std::fputs("usage: bench_seccomp ROUNDS   (1 to 1000)\n", stderr);
    return 2;
  }
  return run(rounds);
}
