// bench_seccomp: what the app class's filter costs, ours beside libseccomp's for the same profile: to compile, to load,
// and for each system call under it; and what an app's own list costs beside it, for the calls that it has and for
// those that cloister-init is asked about. Each contestant takes its turn in every round, in a process of its own, so
// that a noisy machine is noisy for all. Ratios count; microseconds are this machine's.
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
#include <csignal>
#include <cstdio>
#include <functional>
#include <string>
#include <vector>

#include "policy/model/call_profile.h"
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
  double unlisted = 0;  // one that the class allows and an empty list of the app's own lacks
  bool complete = false;
};

struct Contestant {
  std::string name;
  std::function<Program()> program;    // an empty one: no filter
  std::function<Program()> narrowing;  // none: no list of its own
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

long install(Program& program, unsigned long flags) {
  const sock_fprog filter{static_cast<unsigned short>(program.size()), program.data()};
  return ::syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, flags, &filter);
}

// As cloister-init does while an app learns.
[[noreturn]] void letGoOn(int listener) {
  for (;;) {
    seccomp_notif notice{};
    if (::ioctl(listener, SECCOMP_IOCTL_NOTIF_RECV, &notice) != 0) continue;
    seccomp_notif_resp answer{};
    answer.id = notice.id;
    answer.flags = SECCOMP_USER_NOTIF_FLAG_CONTINUE;
    (void)::ioctl(listener, SECCOMP_IOCTL_NOTIF_SEND, &answer);
  }
}

void measure(Program& program, Program& narrowing, Times& times) {
  if (::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0) return;
  const auto begin = std::chrono::steady_clock::now();
  long listener = -1;
  if (!narrowing.empty()) {
    listener = install(narrowing, SECCOMP_FILTER_FLAG_NEW_LISTENER | SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV);
    if (listener < 0) return;
  }
  if (!program.empty()) {
    if (install(program, 0) != 0) return;
    times.load = since(begin);
  }
  const pid_t answers = listener < 0 ? 0 : ::fork();
  if (answers < 0) return;
  if (listener >= 0 && answers == 0) letGoOn(static_cast<int>(listener));
  int pending = 0;
  times.cached = each([] { ::syscall(SYS_getppid); });
  times.compared = each([&] { ::syscall(SYS_ioctl, -1, FIONREAD, &pending); });
  times.refused = each([] { ::syscall(SYS_keyctl, 0, 0, 0, 0, 0); });
  times.unlisted = each([] { ::syscall(SYS_getpgrp); });
  if (answers > 0) (void)::kill(answers, SIGKILL);
  times.complete = true;
}

bool takeTurn(Contestant& contestant, Times* shared) {
  *shared = Times{};
  const auto begin = std::chrono::steady_clock::now();
  Program program = contestant.program();
  Program narrowing = contestant.narrowing ? contestant.narrowing() : Program{};
  shared->compile = since(begin);
  const pid_t child = ::fork();
  if (child == 0) {
    measure(program, narrowing, *shared);
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
      Contestant{"no filter", [] { return Program{}; }, {}, {}},
      // What the kernel takes for any filter.
      Contestant{"the shortest filter",
                 [] {
                   return Program{{BPF_RET | BPF_K, 0, 0, SECCOMP_RET_ALLOW}};
                 },
                 {},
                 {}},
      Contestant{"ours", [&] { return *compile(profile); }, {}, {}},
      Contestant{"libseccomp's", [&] { return *compileWithLibseccomp(profile); }, {}, {}},
      Contestant{"ours, and an own list",
                 [&] { return *compile(profile); },
                 [] { return *cloister::policy::narrowingFilter(cloister::CallSet()); },
                 {}},
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
  std::printf("%-22s %10s %10s %10s %12s %10s %10s\n", "median, microseconds", "compile", "load", "allowed",
              "by argument", "refused", "unlisted");
  for (const Contestant& contestant : contestants) {
    const auto of = [&](double Times::*member) { return median(contestant.seen, member); };
    std::printf("%-22s %10.1f %10.1f %10.3f %12.3f %10.3f %10.3f\n", contestant.name.c_str(), of(&Times::compile),
                of(&Times::load), of(&Times::cached), of(&Times::compared), of(&Times::refused), of(&Times::unlisted));
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
