#include <fcntl.h>
#include <poll.h>
#include <unistd.h>

#include <array>
#include <chrono>
#include <ctime>
#include <fstream>
#include <sstream>
#include <stdexcept>

#include "sandbox/base/files.h"
#include "tests/bench/contestants.h"

namespace cloister::bench {
namespace {

using Clock = std::chrono::steady_clock;
using launcher::DescriptorKind;

double millisSince(Clock::time_point begin) {
  return std::chrono::duration<double, std::milli>(Clock::now() - begin).count();
}

double cpuMillisOf(pid_t pid) {
  clockid_t clock{};
  timespec used{};
  if (::clock_getcpuclockid(pid, &clock) != 0 || ::clock_gettime(clock, &used) != 0) return 0;
  return static_cast<double>(used.tv_sec) * 1e3 + static_cast<double>(used.tv_nsec) / 1e6;
}

double groupCpuMillis(int group) {
  const auto text = files::read(group, "cpu.stat");
  std::istringstream words(text ? *text : std::string());
  std::string key;
  double micros = NAN;
  words >> key >> micros;
  return micros / 1e3;
}

std::string ended(const std::string& statusFile) {
  std::ifstream line(statusFile);
  std::string kind;
  int code = -1;
  line >> kind >> code;
  ::unlink(statusFile.c_str());
  return kind == "exit" && code == 0 ? std::string() : "ended with " + kind + " " + std::to_string(code);
}

std::string awaitEnd(int pidfd) {
  pollfd watched{pidfd, POLLIN, 0};
  return ::poll(&watched, 1, 10'000) == 1 ? std::string() : std::string("did not end within 10 s");
}

// /dev/null and a status file.
struct Files {
  explicit Files(const std::string& statusPath)
      : null(::open("/dev/null", O_RDWR | O_CLOEXEC)),
        status(::open(statusPath.c_str(), O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600)) {}
  [[nodiscard]] sandbox::Standard standard() const {
    return {.in = null.get(), .out = null.get(), .err = null.get(), .status = status.get()};
  }
  UniqueFd null;
  UniqueFd status;
};

Sample launchAndRemove(Host& host, const launcher::LaunchRequest& request) {
  Sample sample;
  const std::string statusPath = host.path("status-" + request.instance);
  const Files files(statusPath);
  const double cpuBefore = cpuMillisOf(host.launcher());
  const auto begin = Clock::now();
  auto launched = host.client().launch(request, files.standard());
  sample.execMillis = millisSince(begin);
  if (!launched) {
    sample.failure = launched.error().message();
    return sample;
  }
  sample.failure = awaitEnd(launched->descriptor(DescriptorKind::pid));
  if (!sample.failure.empty()) return sample;
  const double groupCpu = groupCpuMillis(launched->descriptor(DescriptorKind::unified));
  const auto removal = Clock::now();
  const Status removed = host.client().remove(request.instance);
  sample.removeMillis = millisSince(removal);
  sample.cpuMillis = groupCpu + cpuMillisOf(host.launcher()) - cpuBefore;
  for (const std::uint32_t micros : launched->launched.stages) sample.stages.push_back(micros / 1e3);
  sample.failure = removed ? ended(statusPath) : removed.error().message();
  return sample;
}

}  // namespace

Contestant cloisterLaunch(Host& host, Link link) {
  const bool linked = link == Link::tenantNetwork;
  return {.name = linked ? "cloister, network" : "cloister",
          .absent = {},
          .run =
              [&host, linked](unsigned round) {
                auto request = busybox(host, (linked ? "linked-" : "plain-") + std::to_string(round), {"/bin/true"});
                // Addresses in turn: the link of the last one may still be on its way out.
                if (linked) request.address = gatewayOf(kTenant) + 1 + round % 250;
                return launchAndRemove(host, request);
              },
          .hasExec = true};
}

Contestant cloisterExec(Host& host) {
  const Files files(host.path("status-target"));
  if (auto target = host.client().launch(busybox(host, "target", {"/bin/sleep", "600"}), files.standard()); !target)
    throw std::runtime_error(target.error().message());
  return {.name = "cloister exec",
          .absent = {},
          .run =
              [&host](unsigned round) {
                Sample sample;
                const std::string statusPath = host.path("exec-" + std::to_string(round));
                const Files standard(statusPath);
                const double cpuBefore = cpuMillisOf(host.launcher());
                const launcher::ExecRequest request{.instance = "target",
                                                    .exec = "exec-" + std::to_string(round),
                                                    .argv = {"/bin/true"},
                                                    .environment = {"PATH=/bin"},
                                                    .workingDirectory = "/",
                                                    .terminal = {}};
                const auto begin = Clock::now();
                auto executed = host.client().exec(request, standard.standard());
                sample.execMillis = millisSince(begin);
                sample.failure = executed ? awaitEnd(executed->pidfd.get()) : executed.error().message();
                if (sample.failure.empty()) sample.failure = ended(statusPath);
                sample.cpuMillis = cpuMillisOf(host.launcher()) - cpuBefore;
                return sample;
              },
          .hasExec = true};
}

}  // namespace cloister::bench
