#include "controlplane/node/runtime.h"

#include <spdlog/spdlog.h>

#include <cerrno>
#include <charconv>
#include <chrono>
#include <csignal>
#include <cstring>

#include "sandbox/base/streams.h"

namespace cloister::node {
namespace {

using launcher::DescriptorKind;

constexpr std::uint64_t kOpenFiles = 16'384;  // below the hard limit that supervisors commonly give the launcher
constexpr std::size_t kMaxHostname = 63;
constexpr std::size_t kShortId = 6;
constexpr std::chrono::milliseconds kKillPatience{5'000};

std::string hostname(const model::DesiredInstance& instance) {
  const std::string tail = "-" + instance.id.substr(instance.id.size() - std::min(instance.id.size(), kShortId));
  std::string head = instance.app + "-" + instance.process;
  if (head.size() + tail.size() > kMaxHostname) head.resize(kMaxHostname - tail.size());
  return head + tail;
}

}  // namespace

std::vector<std::string> appEnvironment(const model::DesiredInstance& instance) {
  std::map<std::string, std::string> variables{
      {"PATH", "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"},
      {"HOME", kHome},
      {"USER", "app"},
      {"LOGNAME", "app"},
      {"SHELL", "/bin/sh"},
      {"LANG", "C.UTF-8"},
      {"SSL_CERT_FILE", "/etc/ssl/certs/ca-certificates.crt"},
      {"NODE_EXTRA_CA_CERTS", "/etc/ssl/certs/ca-certificates.crt"},
  };
  if (instance.port != 0) variables["PORT"] = std::to_string(instance.port);
  for (const auto& [key, value] : instance.environment) variables[key] = value;
  std::vector<std::string> list;
  for (const auto& [key, value] : variables) list.push_back(key + "=" + value);
  return list;
}

launcher::Limits launcherLimits(const model::InstanceLimits& limits) {
  launcher::Limits bounds;
  bounds.memoryBytes = limits.memoryBytes;
  bounds.cpuMillis = limits.cpuMillis;
  bounds.pids = limits.pids;
  bounds.diskBytes = limits.diskBytes;
  bounds.inodes = limits.inodes;
  bounds.openFiles = kOpenFiles;
  return bounds;
}

void narrow(launcher::LaunchRequest& request, const model::CallList& list) {
  switch (list.others) {
    case model::OtherCalls::open:
      return;
    case model::OtherCalls::report:
      request.otherCalls = launcher::OtherCalls::report;
      break;
    case model::OtherCalls::refuse:
      request.otherCalls = launcher::OtherCalls::refuse;
      break;
  }
  request.calls = callSet(list.calls);
}

launcher::Writes writesOf(const model::DesiredInstance& instance) {
  return instance.immutable ? launcher::Writes::listed : launcher::Writes::byMode;
}

launcher::LaunchRequest appRequest(const model::DesiredTenant& tenant, const model::DesiredInstance& instance,
                                   const std::string& container) {
  launcher::LaunchRequest request;
  request.instance = container;
  request.tenant = tenant.index;
  request.confinement = launcher::Confinement::app;
  request.layers = instance.layers;
  request.hostname = hostname(instance);
  request.argv = {"/bin/sh", "-c", instance.command};
  request.environment = appEnvironment(instance);
  request.workingDirectory = "/app";
  request.address = instance.address;
  request.limits = launcherLimits(instance.limits);
  narrow(request, instance.callList);
  request.writes = writesOf(instance);
  request.writable = instance.writable;
  return request;
}

Metered meteredAs(const model::DesiredInstance& instance) {
  return {instance.tenantId, instance.appId, instance.id, instance.limits.memoryBytes};
}

std::string describe(const Ending& ending) {
  if (ending.outOfMemory) return "ran out of memory and was killed";
  if (ending.graceOver) return "was killed, for it had not ended in its time to stop";
  std::string text = ending.status.empty() ? "ended without a status" : ending.status;
  if (ending.status.starts_with("exit ")) text = "ended with exit code " + ending.status.substr(5);
  if (ending.status.starts_with("signal ")) {
    const auto number = ending.status.substr(7);
    int value = 0;
    std::from_chars(number.data(), number.data() + number.size(), value);
    const char* name = ::sigabbrev_np(value);
    text = "was killed by signal " + number + (name == nullptr ? "" : std::string(" (SIG") + name + ")");
  }
  return ending.pidsLimit ? text + " after it reached its limit of processes" : text;
}

Runtime::Runtime(Launcher& launcher, LayerCache& layers, MeterLoop& meter)
    : launcher_(launcher), layers_(layers), meter_(meter), tenants_(launcher) {}

Result<sandbox::Container> Runtime::tryStart(const model::DesiredTenant& tenant, const launcher::LaunchRequest& request,
                                             const sandbox::Standard& standard) {
  if (auto done = tenants_.ensure(tenant); !done) return done.error();
  if (auto done = layers_.ensure(request.layers); !done) return done.error();
  return launcher_.launch(request, standard);
}

Result<sandbox::Container> Runtime::start(const model::DesiredTenant& tenant, const launcher::LaunchRequest& request,
                                          const sandbox::Standard& standard, const Metered& whose) {
  auto started = tryStart(tenant, request, standard);
  if (!started && started.error().code == ENOENT && started.error().stage != "init") {  // "init": no such program
    spdlog::info("{}: {}; telling the launcher its tenant and layers again", request.instance,
                 started.error().message());
    tenants_.forget();
    layers_.forgetMounts();
    started = tryStart(tenant, request, standard);
  }
  if (!started) return started;
  if (auto done = meter_.add(started.value(), whose, metering::Origin::launched); !done) {
    spdlog::warn("{}: not metered yet: {}", request.instance, done.error().message());
  }
  return started;
}

Ending Runtime::ending(const sandbox::Container& container, const std::string& status, Grace grace) {
  Ending ending;
  ending.status = status;
  if (status == "exit 0") return ending;
  const auto hits = meter_.limitHits(container.launched.instance);
  ending.oomKills = hits.oomKills;
  // A kill long ago, which the app outlived, is no reason: it is one when it came since the last regular reading.
  const bool fresh = hits.oomKills > hits.oomKillsBefore;
  const bool killed = status.empty() || status == "signal 9" || status == "exit 137";
  ending.graceOver = killed && grace == Grace::over;
  ending.outOfMemory = !ending.graceOver && (fresh || (hits.oomKills > 0 && killed));
  ending.pidsLimit = hits.pidsRefused > 0;
  return ending;
}

Status Runtime::finish(const std::string& container, int pidfd) {
  if (pidfd >= 0 && !streams::ended(pidfd)) {
    kill(container);
    if (!streams::awaitEnd(pidfd, kKillPatience)) spdlog::warn("{}: killed, and still there", container);
  }
  if (auto done = meter_.finish(container); !done) {
    spdlog::warn("{}: last reading: {}", container, done.error().message());
  }
  auto removed = launcher_.remove(container);
  if (removed) meter_.forget(container);
  return removed;
}

bool Runtime::lostReply(const Error& error) {
  return error.code == ECONNRESET || error.code == EPIPE || error.code == EPROTO;
}

Status Runtime::finishUnanswered(const std::string& container, const Metered& whose) {
  auto recovered = launcher_.recover();
  if (!recovered) return recovered.error();
  for (auto& found : recovered.value()) {
    if (found.launched.instance != container) continue;
    if (auto done = meter_.add(found, whose, metering::Origin::recovered); !done) {
      spdlog::warn("{}: not metered yet: {}", container, done.error().message());
    }
    return finish(container, found.descriptor(DescriptorKind::pid));
  }
  return finish(container);
}

void Runtime::terminate(const std::string& container) {
  auto done = launcher_.signal({container, SIGTERM, launcher::SignalTarget::init});
  if (!done) spdlog::warn("{}: SIGTERM: {}", container, done.error().message());
}

void Runtime::kill(const std::string& container) {
  auto done = launcher_.signal({container, SIGKILL, launcher::SignalTarget::group});
  if (!done) spdlog::warn("{}: SIGKILL: {}", container, done.error().message());
}

}  // namespace cloister::node
