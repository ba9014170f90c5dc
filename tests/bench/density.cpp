// bench_density: many idle instances through cloister-node and cloister-launcher: what Cloister keeps of memory,
// descriptors and threads for each, and how long a launch takes beside them.
//
//   bench_density BINARIES INSTANCES TENANTS
//
// The node gets its work as from cloisterd; the launches that are timed are a second caller's. "ours" is the PSS of all
// cloister-init, cloister-launcher and cloister-node; "machine" is what MemAvailable lost: the kernel's share and the
// apps' own too.
#include <fcntl.h>
#include <grp.h>
#include <poll.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <charconv>
#include <chrono>
#include <csignal>
#include <cstdio>
#include <exception>
#include <fstream>
#include <set>
#include <sstream>
#include <stdexcept>
#include <string>
#include <vector>

#include "tests/bench/bench_host.h"
#include "tests/bench/commands.h"
#include "tests/bench/memory.h"
#include "tests/bench/tables.h"
#include "tests/integration/node/fake_server.h"

namespace {

using namespace cloister;
using namespace cloister::bench;
using Clock = std::chrono::steady_clock;

constexpr uid_t kNodeUser = 64'123;    // no one's
constexpr rlim_t kOpenFiles = 65'536;  // as in the systemd units
constexpr unsigned kProbes = 20;
constexpr int kMostSeconds = 240;  // for one step's instances
constexpr TenantIndex kFirstTenant = kTenant + 1;

double secondsSince(Clock::time_point begin) {
  return std::chrono::duration<double>(Clock::now() - begin).count();
}

std::string contents(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  std::ostringstream text;
  text << file.rdbuf();
  return text.str();
}

// A cloister-node with the launcher of `host` and a server of ours.
class Node {
 public:
  explicit Node(const Host& host) : server_(host.path("node-api.sock")) {
    server_.addBlob(host.layer(), contents(host.path("layer.erofs")));
    const std::string state = host.path("state");
    if (::mkdir(state.c_str(), 0755) != 0 || ::chown(state.c_str(), kNodeUser, kNodeUser) != 0)
      throw std::runtime_error("mkdir " + state);
    std::ofstream(host.path("token")) << "clst_test\n" << std::flush;
    std::vector<std::string> words = {host.program("cloister-node"),
                                      "--state",
                                      state,
                                      "--server",
                                      "unix:" + host.path("node-api.sock"),
                                      "--token-file",
                                      host.path("token"),
                                      "--launcher-socket",
                                      host.path("run/launcher.sock"),
                                      "--name",
                                      "bench"};
    pid_ = ::fork();
    if (pid_ != 0) return;
    ::prctl(PR_SET_PDEATHSIG, SIGTERM);
    const int log = ::open(host.path("node.log").c_str(), O_WRONLY | O_CREAT, 0644);
    ::dup2(log, 1);
    ::dup2(log, 2);
    if (::setgroups(0, nullptr) != 0 || ::setgid(kNodeUser) != 0 || ::setuid(kNodeUser) != 0) ::_exit(90);
    ::execv(words.front().c_str(), pointers(words).data());
    ::_exit(91);
  }
  ~Node() {
    ::kill(pid_, SIGTERM);
    ::waitpid(pid_, nullptr, 0);
  }
  Node(const Node&) = delete;
  Node& operator=(const Node&) = delete;

  [[nodiscard]] pid_t pid() const { return pid_; }
  void want(const model::NodeWork& work) {
    server_.want(work);
    const auto running = [&](const model::NodeStatus& status) {
      const auto up = std::count_if(status.instances.begin(), status.instances.end(),
                                    [](const auto& report) { return report.state == model::InstanceState::running; });
      return static_cast<std::size_t>(up) == work.instances.size();
    };
    if (!server_.awaitStatus(running, kMostSeconds)) throw std::runtime_error("not all instances run in time");
  }

 private:
  test::FakeServer server_;
  pid_t pid_ = -1;
};

model::NodeWork workOf(const Host& host, unsigned instances, unsigned tenants) {
  model::NodeWork work;
  work.certified = true;
  work.keepBlobs.push_back(host.layer());
  for (unsigned i = 0; i < std::min(tenants, instances); ++i) {
    model::DesiredTenant tenant;
    tenant.id = "tn-" + std::to_string(i);
    tenant.name = "tenant" + std::to_string(i);
    tenant.index = kFirstTenant + i;
    tenant.limits.memoryBytes = 1ULL << 30U;
    tenant.limits.buildMemoryBytes = 256ULL << 20U;
    tenant.limits.cpuMillis = 1000;
    tenant.limits.pids = 1024;
    work.tenants.push_back(tenant);
  }
  for (unsigned i = 0; i < instances; ++i) {
    model::DesiredInstance instance;
    instance.id = "in-" + std::to_string(i);
    instance.tenantId = "tn-" + std::to_string(i % tenants);
    instance.appId = "ap-" + std::to_string(i % tenants);
    instance.app = "idle";
    instance.process = "worker";
    instance.command = "exec sleep 86400";
    instance.layers = {host.layer()};
    instance.limits = {64ULL << 20U, 1000, 32, 16ULL << 20U, 1024};
    instance.address = gatewayOf(kFirstTenant + i % tenants) + 1 + i / tenants;
    work.instances.push_back(instance);
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
    node.want(workOf(host, count, tenants));
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
