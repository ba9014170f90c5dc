// bench_density: many idle instances through cloister-node and cloister-launcher: what Cloister keeps of memory,
// descriptors and threads for each, and how long a launch takes beside them.
//
//   bench_density BINARIES INSTANCES TENANTS
//
// The node gets its work as from cloisterd; the launches that are timed are a second caller's. "ours" is the PSS of all
// cloister-init, cloister-launcher and cloister-node; "machine" is what MemAvailable lost: the kernel's share and the
// apps' own too.
#include <fcntl.h>
#include <poll.h>
#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <charconv>
#include <chrono>
#include <cstdio>
#include <exception>
#include <set>
#include <stdexcept>
#include <string>
#include <vector>

#include "tests/bench/bench_host.h"
#include "tests/bench/bench_node.h"
#include "tests/bench/commands.h"
#include "tests/bench/memory.h"
#include "tests/bench/tables.h"

namespace {

using namespace cloister;
using namespace cloister::bench;
using Clock = std::chrono::steady_clock;

constexpr rlim_t kOpenFiles = 65'536;  // as in the systemd units
constexpr unsigned kProbes = 20;
constexpr int kMostSeconds = 240;  // for one step's instances

double secondsSince(Clock::time_point begin) {
  return std::chrono::duration<double>(Clock::now() - begin).count();
}

model::NodeWork idleWork(const Host& host, unsigned instances, unsigned tenants) {
  model::NodeWork work = workOf(host, std::min(tenants, instances));
  for (unsigned i = 0; i < instances; ++i) {
    work.instances.push_back(
        instanceOf(host, "in-" + std::to_string(i), i % tenants, 1 + i / tenants, "exec sleep 86400"));
  }
  return work;
}

std::vector<double> probe(Host& host, unsigned step) {
  std::vector<double> millis;
  const UniqueFd null(::open("/dev/null", O_RDWR | O_CLOEXEC));
  for (unsigned i = 0; i < kProbes; ++i) {
    auto request = busybox(host, "probe-" + std::to_string(step) + "-" + std::to_string(i), {"/bin/true"});
    request.address = gatewayOf(kTenant) + 1 + i;
    const auto begin = Clock::now();
    auto launched = host.client().launch(request, {null.get(), null.get(), null.get(), null.get()});
    if (!launched) throw std::runtime_error("probe: " + launched.error().message());
    millis.push_back(secondsSince(begin) * 1e3);
    pollfd ended{launched->descriptor(launcher::DescriptorKind::pid), POLLIN, 0};
    (void)::poll(&ended, 1, 10'000);
    if (auto removed = host.client().remove(request.instance); !removed)
      throw std::runtime_error("probe: " + removed.error().message());
  }
  return millis;
}

double sumPss(const std::vector<pid_t>& pids) {
  double sum = 0;
  for (const pid_t pid : pids) sum += pssKib(pid);
  return sum;
}

int run(const std::string& binaries, unsigned instances, unsigned tenants) {
  rlimit files{};
  ::getrlimit(RLIMIT_NOFILE, &files);
  files.rlim_cur = std::min(files.rlim_max, kOpenFiles);
  ::setrlimit(RLIMIT_NOFILE, &files);
  Host host(binaries, kNodeUser);
  host.startLauncher();
  Node node(host);
  std::printf(
      "%u idle instances of %u tenants, %llu descriptors allowed a process\n%9s %8s %10s %10s %10s %10s %9s %9s %8s "
      "%9s %9s\n",
      instances, tenants, static_cast<unsigned long long>(files.rlim_cur), "instances", "up s", "init KiB", "node KiB",
      "launcher", "ours each", "machine", "node fds", "threads", "launch ms", "p99 ms");
  double baseNode = 0;
  double baseLauncher = 0;
  double baseMachine = 0;
  const std::set<unsigned> steps = {0, instances / 4, instances / 2, instances};
  for (const unsigned count : steps) {
    const auto begin = Clock::now();
    node.want(idleWork(host, count, tenants), kMostSeconds);
    const double took = secondsSince(begin);
    const auto millis = probe(host, count);
    const auto inits = processesNamed(host.cgroupRoot(), "cloister-init");
    const double init = sumPss(inits);
    const double ofNode = pssKib(node.pid());
    const double ofLauncher = pssKib(host.launcher());
    if (count == 0) {
      baseNode = ofNode;
      baseLauncher = ofLauncher;
      baseMachine = availableKib();
    }
    const double each = count == 0 ? NAN : (init + ofNode - baseNode + ofLauncher - baseLauncher) / count;
    const double machine = count == 0 ? NAN : (baseMachine - availableKib()) / count;
    std::printf("%9u %8.1f %10.1f %10.0f %10.0f %10.1f %9.0f %9zu %8zu %9.1f %9.1f\n", count, took,
                inits.empty() ? NAN : init / static_cast<double>(inits.size()), ofNode, ofLauncher, each, machine,
                descriptorsOf(node.pid()), threadsOf(node.pid()), median(millis), quantile(millis, 0.99));
    std::fflush(stdout);
  }
  return 0;
}

bool parse(const char* text, unsigned& number, unsigned most) {
  const std::string word = text;
  const auto [end, error] = std::from_chars(word.data(), word.data() + word.size(), number);
  return error == std::errc{} && end == word.data() + word.size() && number >= 1 && number <= most;
}

}  // namespace

int main(int argc, char** argv) {
  unsigned instances = 0;
  unsigned tenants = 0;
  if (argc != 4 || !parse(argv[2], instances, 10'000) || !parse(argv[3], tenants, 1'000)) {
    std::fputs("usage: bench_density BINARIES INSTANCES TENANTS   (at most 10000, 1000)\n", stderr);
    return 2;
  }
  try {
    return run(argv[1], instances, tenants);
  } catch (const std::exception& error) {
    std::fprintf(stderr, "bench_density: %s\n", error.what());
    return 1;
  }
}
