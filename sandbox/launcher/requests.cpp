#include "sandbox/launcher/requests.h"

#include <algorithm>
#include <array>
#include <cerrno>
#include <csignal>
#include <string_view>

namespace cloister::launcher {
namespace {

// Far above any plan, far below what would hurt the host's own bookkeeping.
constexpr std::uint64_t kMostMemory = 1ULL << 42U;
constexpr std::uint64_t kMostCpuMillis = 1'024'000;
constexpr std::uint64_t kMostPids = 1U << 20U;
constexpr std::uint64_t kMostInodes = 1U << 26U;
constexpr std::uint64_t kMostFiles = 1U << 20U;
constexpr std::uint64_t kMostDiskRate = 1ULL << 40U;
constexpr std::size_t kMostLayers = 8;
constexpr std::array kSignals = {SIGHUP,  SIGINT,  SIGQUIT, SIGKILL, SIGUSR1,
                                 SIGUSR2, SIGTERM, SIGCONT, SIGSTOP, SIGWINCH};

Status fault(std::string_view field) {
  return Error{"request", "check", std::string(field), EINVAL};
}

bool within(std::uint64_t value, std::uint64_t most) {
  return value >= 1 && value <= most;
}

bool plain(const std::string& text) {
  return text.find('\0') == std::string::npos;
}

Status checkCommand(const std::vector<std::string>& argv, const std::vector<std::string>& environment,
                    const std::string& workingDirectory) {
  if (argv.empty() || argv.front().empty() || !std::all_of(argv.begin(), argv.end(), plain)) return fault("argv");
  for (const auto& variable : environment) {
    const auto equals = variable.find('=');
    if (equals == 0 || equals == std::string::npos || !plain(variable)) return fault("environment");
  }
  if (workingDirectory.empty() || workingDirectory.front() != '/' || !plain(workingDirectory))
    return fault("workingDirectory");
  return {};
}

Status checkWrites(Writes writes, const std::vector<std::string>& writable) {
  if (writes == Writes::byMode && !writable.empty()) return fault("writable");
  const auto good = [](const std::string& path) { return path.starts_with('/') && plain(path); };
  return std::all_of(writable.begin(), writable.end(), good) ? Status() : fault("writable");
}

// The three standard ones and the status, or that alone.
std::size_t expectedOf(TerminalSize terminal) {
  return terminal.wanted() ? 1 : 4;
}

}  // namespace

Status check(const LaunchRequest& request, std::size_t descriptors) {
  if (!validInstanceId(request.instance)) return fault("instance");
  if (!validTenant(request.tenant)) return fault("tenant");
  if (request.confinement == Confinement::exec) return fault("confinement");
  const bool freeze = request.confinement == Confinement::freeze;
  if (request.layers.empty() || request.layers.size() > kMostLayers ||
      !std::all_of(request.layers.begin(), request.layers.end(), [](const auto& d) { return validDigest(d); })) {
    return fault("layers");
  }
  if (freeze ? !validInstanceId(request.freezeOf) : !request.freezeOf.empty()) return fault("freezeOf");
  if (!validLabel(request.hostname)) return fault("hostname");
  if (auto good = checkCommand(request.argv, request.environment, request.workingDirectory); !good) return good;
  if (request.address != 0 && (freeze || !ownsAddress(request.tenant, request.address))) return fault("address");
  if (request.limits.memoryBytes > kMostMemory) return fault("limits.memoryBytes");
  if (request.limits.cpuMillis > kMostCpuMillis) return fault("limits.cpuMillis");
  if (request.limits.pids > kMostPids) return fault("limits.pids");
  if (!within(request.limits.diskBytes, kMostMemory)) return fault("limits.diskBytes");
  if (!within(request.limits.inodes, kMostInodes)) return fault("limits.inodes");
  if (!within(request.limits.openFiles, kMostFiles)) return fault("limits.openFiles");
  if (freeze && request.otherCalls != OtherCalls::open) return fault("otherCalls");
  if (request.otherCalls == OtherCalls::open && request.calls.any()) return fault("calls");
  if (request.confinement != Confinement::app && request.writes != Writes::byMode) return fault("writes");
  if (auto good = checkWrites(request.writes, request.writable); !good) return good;
  if (request.terminal.wanted() && request.confinement != Confinement::app) return fault("terminal");
  if (descriptors != (freeze ? 5U : expectedOf(request.terminal))) return fault("descriptors");
  return {};
}

Status check(const ExecRequest& request, std::size_t descriptors) {
  if (!validInstanceId(request.instance)) return fault("instance");
  if (!validInstanceId(request.exec)) return fault("exec");
  if (descriptors != expectedOf(request.terminal)) return fault("descriptors");
  if (auto good = checkWrites(request.writes, request.writable); !good) return good;
  return checkCommand(request.argv, request.environment, request.workingDirectory);
}

Status check(const EndExecRequest& request) {
  if (!validInstanceId(request.instance)) return fault("instance");
  return validInstanceId(request.exec) ? Status() : fault("exec");
}

Status check(const SignalRequest& request) {
  if (!validInstanceId(request.instance)) return fault("instance");
  if (request.target == SignalTarget::group) return request.signal == SIGKILL ? Status() : fault("signal");
  if (request.target != SignalTarget::init) return request.signal == 0 ? Status() : fault("signal");
  const auto known = std::any_of(kSignals.begin(), kSignals.end(),
                                 [&](int number) { return request.signal == static_cast<std::uint32_t>(number); });
  return known ? Status() : fault("signal");
}

Status check(const RemoveRequest& request) {
  return validInstanceId(request.instance) ? Status() : fault("instance");
}

Status check(const TenantPutRequest& request) {
  if (!validTenant(request.tenant)) return fault("tenant");
  if (!within(request.limits.memoryBytes, kMostMemory)) return fault("limits.memoryBytes");
  if (!within(request.limits.cpuMillis, kMostCpuMillis)) return fault("limits.cpuMillis");
  if (!within(request.limits.pids, kMostPids)) return fault("limits.pids");
  if (request.limits.memoryHighBytes > kMostMemory) return fault("limits.memoryHighBytes");
  if (request.limits.cpuBurstMillis > kMostCpuMillis) return fault("limits.cpuBurstMillis");
  if (request.limits.diskBytesPerSecond > kMostDiskRate) return fault("limits.diskBytesPerSecond");
  if (request.limits.diskOperationsPerSecond > kMostDiskRate) return fault("limits.diskOperationsPerSecond");
  return {};
}

Status check(const TenantRemoveRequest& request) {
  return validTenant(request.tenant) ? Status() : fault("tenant");
}

Status check(const LayerRequest& request) {
  return validDigest(request.digest) ? Status() : fault("digest");
}

}  // namespace cloister::launcher
