#include "sandbox/cgroups/limits.h"

#include <algorithm>
#include <array>
#include <cerrno>
#include <utility>

namespace cloister::cgroups {
namespace {

using launcher::DescriptorKind;

constexpr std::uint64_t kSmallestQuota = 1'000;
constexpr std::uint64_t kSharesOfDefaultWeight = 1'024;
constexpr std::uint64_t kDefaultWeight = 100;
constexpr const char* kLimit = "memory.limit_in_bytes";
constexpr const char* kLimitWithSwap = "memory.memsw.limit_in_bytes";
constexpr const char* kReadBytes = "blkio.throttle.read_bps_device";
constexpr const char* kWriteBytes = "blkio.throttle.write_bps_device";
constexpr const char* kReadOperations = "blkio.throttle.read_iops_device";
constexpr const char* kWriteOperations = "blkio.throttle.write_iops_device";

std::string orMax(std::uint64_t bound) {
  return bound == 0 ? "max" : std::to_string(bound);
}
std::string orMinusOne(std::uint64_t bound) {
  return bound == 0 ? "-1" : std::to_string(bound);
}

// The names of one thing in the two versions.
struct QuotaFiles {
  const char* burst;
  const char* quota;
};
constexpr QuotaFiles kUnifiedQuota{"cpu.max.burst", "cpu.max"};
constexpr QuotaFiles kLegacyQuota{"cpu.cfs_burst_us", "cpu.cfs_quota_us"};

// Asked before a write to a file of the bandwidth: each makes the kernel walk all groups of the host.
bool isAlready(const Place& group, const char* file, std::uint64_t value) {
  const auto present = readNumber(group, file);
  return present && present.value() == value;
}

// The kernel keeps burst <= quota at every step: an old burst goes first.
Status writeQuota(const Place& group, const QuotaFiles& files, const std::string& quota, std::uint64_t burst,
                  Level level) {
  if (level == Level::tenant && !isAlready(group, files.burst, 0)) {
    if (auto cleared = writeIfPresent(group, files.burst, "0"); !cleared) return cleared;
  }
  if (auto wrote = writeFile(group, files.quota, quota); !wrote) return wrote;
  return burst == 0 ? Status() : writeIfPresent(group, files.burst, std::to_string(burst));
}

// A tenant's burst is its plan's; an instance may spend all of it, for the tenant's own group bounds the sum.
std::uint64_t burstOf(const Bounds& bounds, Level level, const Parent& parent, std::uint64_t quota) {
  const std::uint64_t wanted = level == Level::instance     ? parent.burst
                               : bounds.cpuBurstMillis == 0 ? 0
                                                            : quotaOf(bounds.cpuBurstMillis);
  return quota == kUnlimited ? 0 : std::min(wanted, quota);
}

// Memory and memory + swap are one bound, so nothing of a tenant is swapped. The kernel keeps limit <= limit with swap
// at every step: raise the second first.
Status writeLegacyMemory(const Place& group, const Bounds& bounds, Level level) {
  const std::string text = orMinusOne(bounds.memoryBytes);
  auto wrote = writeFile(group, kLimit, text);
  if (!wrote && wrote.error().code == EINVAL) {
    if (auto raised = writeIfPresent(group, kLimitWithSwap, text); !raised) return raised;
    wrote = writeFile(group, kLimit, text);
  }
  if (!wrote) return wrote;
  if (level == Level::tenant) {
    if (auto soft = writeIfPresent(group, "memory.soft_limit_in_bytes", orMinusOne(bounds.memoryHighBytes)); !soft) {
      return soft;
    }
  }
  return writeIfPresent(group, kLimitWithSwap, text);
}

Status writeLegacyCpu(const Place& group, const Bounds& bounds, Level level, const Parent& parent) {
  if (!isAlready(group, "cpu.cfs_period_us", kPeriod)) {
    if (auto wrote = writeFile(group, "cpu.cfs_period_us", std::to_string(kPeriod)); !wrote) return wrote;
  }
  const std::uint64_t quota = bounds.cpuMillis == 0 ? kUnlimited : std::min(quotaOf(bounds.cpuMillis), parent.quota);
  const std::string text = quota == kUnlimited ? "-1" : std::to_string(quota);
  if (auto wrote = writeQuota(group, kLegacyQuota, text, burstOf(bounds, level, parent, quota), level); !wrote) {
    return wrote;
  }
  if (bounds.cpuMillis == 0) return {};
  const std::uint64_t shares =
      std::max<std::uint64_t>(weightOf(bounds.cpuMillis) * kSharesOfDefaultWeight / kDefaultWeight, 2);
  return writeIfPresent(group, "cpu.shares", std::to_string(shares));
}

// One line a write(2): the throttle files take one device at a time. A rate of 0 takes the bound away.
Status writeThrottle(const Place& group, const char* file, std::uint64_t rate,
                     const std::vector<std::string>& devices) {
  for (const auto& device : devices) {
    if (auto wrote = writeIfPresent(group, file, device + " " + std::to_string(rate)); !wrote) return wrote;
  }
  return {};
}

Status copyThrottle(const Place& group, const char* file, const std::string& lines) {
  for (std::size_t at = 0; at < lines.size();) {
    const auto end = std::min(lines.find('\n', at), lines.size());
    if (end > at) {
      if (auto wrote = writeIfPresent(group, file, lines.substr(at, end - at)); !wrote) return wrote;
    }
    at = end + 1;
  }
  return {};
}

Status writeLegacyDisk(const Place& group, const Bounds& bounds, Level level, const Parent& parent,
                       const std::vector<std::string>& devices) {
  struct Throttle {
    const char* file;
    std::uint64_t rate;
    const std::string& inherited;
  };
  const std::array throttles = {Throttle{kReadBytes, bounds.diskBytesPerSecond, parent.bytesPerSecond},
                                Throttle{kWriteBytes, bounds.diskBytesPerSecond, parent.bytesPerSecond},
                                Throttle{kReadOperations, bounds.diskOperationsPerSecond, parent.operationsPerSecond},
                                Throttle{kWriteOperations, bounds.diskOperationsPerSecond, parent.operationsPerSecond}};
  for (const auto& [file, rate, inherited] : throttles) {
    const Status wrote =
        level == Level::tenant ? writeThrottle(group, file, rate, devices) : copyThrottle(group, file, inherited);
    if (!wrote) return wrote;
  }
  return {};
}

Status writeUnifiedDisk(const Place& group, const Bounds& bounds, const std::vector<std::string>& devices) {
  const std::string bytes = orMax(bounds.diskBytesPerSecond);
  const std::string operations = orMax(bounds.diskOperationsPerSecond);
  for (const auto& device : devices) {
    const std::string line =
        device + " rbps=" + bytes + " wbps=" + bytes + " riops=" + operations + " wiops=" + operations;
    if (auto wrote = writeIfPresent(group, "io.max", line); !wrote) return wrote;
  }
  return {};
}

// A file of the parent that this kernel may lack.
Result<std::string> readIfPresent(const Place& place, std::string_view file) {
  auto text = readFile(place, file);
  if (!text && text.error().code == ENOENT) return std::string();
  return text;
}

Status readBurst(const Place& tenant, const char* file, Parent& parent) {
  auto burst = readNumber(tenant, file);
  if (!burst) return burst.error().code == ENOENT ? Status() : Status(burst.error());
  parent.burst = burst.value();
  return {};
}

}  // namespace

Bounds boundsOf(const launcher::TenantLimits& limits) {
  Bounds bounds;
  bounds.memoryBytes = limits.memoryBytes;
  bounds.cpuMillis = limits.cpuMillis;
  bounds.pids = limits.pids;
  bounds.memoryHighBytes = limits.memoryHighBytes;
  bounds.cpuBurstMillis = limits.cpuBurstMillis;
  bounds.diskBytesPerSecond = limits.diskBytesPerSecond;
  bounds.diskOperationsPerSecond = limits.diskOperationsPerSecond;
  return bounds;
}

Bounds boundsOf(const launcher::Limits& limits) {
  Bounds bounds;
  bounds.memoryBytes = limits.memoryBytes;
  bounds.cpuMillis = limits.cpuMillis;
  bounds.pids = limits.pids;
  return bounds;
}

std::uint64_t quotaOf(std::uint64_t cpuMillis) {
  if (cpuMillis > kUnlimited / kPeriod) return kUnlimited / 1000;
  return std::max(cpuMillis * (kPeriod / 1000), kSmallestQuota);
}

std::uint64_t weightOf(std::uint64_t cpuMillis) {
  return std::clamp<std::uint64_t>(cpuMillis / 10, 1, 10'000);
}

Result<Parent> readParent(const Place& tenant, DescriptorKind kind) {
  Parent parent;
  Status done;
  if (kind == DescriptorKind::unified) done = readBurst(tenant, kUnifiedQuota.burst, parent);
  if (kind == DescriptorKind::cpu) {
    auto quota = readNumber(tenant, kLegacyQuota.quota);
    if (!quota) return quota.error();
    parent.quota = quota.value();
    done = readBurst(tenant, kLegacyQuota.burst, parent);
  }
  if (kind == DescriptorKind::blkio) {
    auto bytes = readIfPresent(tenant, kReadBytes);
    if (!bytes) return bytes.error();
    auto operations = readIfPresent(tenant, kReadOperations);
    if (!operations) return operations.error();
    parent.bytesPerSecond = std::move(bytes).value();
    parent.operationsPerSecond = std::move(operations).value();
  }
  if (!done) return done.error();
  return parent;
}

Status writeUnified(const Place& group, const Bounds& bounds, Level level, const Parent& parent,
                    const std::vector<std::string>& devices) {
  const std::uint64_t quota = bounds.cpuMillis == 0 ? kUnlimited : quotaOf(bounds.cpuMillis);
  const std::string text = (quota == kUnlimited ? "max" : std::to_string(quota)) + " " + std::to_string(kPeriod);
  if (auto wrote = writeQuota(group, kUnifiedQuota, text, burstOf(bounds, level, parent, quota), level); !wrote) {
    return wrote;
  }
  if (bounds.cpuMillis != 0) {
    const std::string weight = std::to_string(weightOf(bounds.cpuMillis));
    if (auto wrote = writeIfPresent(group, "cpu.weight", weight); !wrote) return wrote;
    if (auto wrote = writeIfPresent(group, "io.weight", "default " + weight); !wrote) return wrote;
  }
  if (auto wrote = writeFile(group, "memory.max", orMax(bounds.memoryBytes)); !wrote) return wrote;
  if (auto wrote = writeIfPresent(group, "memory.swap.max", "0"); !wrote) return wrote;
  if (level == Level::instance) {
    if (auto wrote = writeFile(group, "memory.oom.group", "1"); !wrote) return wrote;
  } else {
    if (auto wrote = writeIfPresent(group, "memory.high", orMax(bounds.memoryHighBytes)); !wrote) return wrote;
    if (auto wrote = writeUnifiedDisk(group, bounds, devices); !wrote) return wrote;
  }
  return writeFile(group, "pids.max", orMax(bounds.pids));
}

Status clampQuota(const Place& group, std::uint64_t quota) {
  auto current = readNumber(group, kLegacyQuota.quota);
  if (!current) return current.error();
  if (current.value() == kUnlimited || current.value() <= quota) return {};
  return writeQuota(group, kLegacyQuota, std::to_string(quota), 0, Level::tenant);
}

Status writeLegacy(const Place& group, DescriptorKind kind, const Bounds& bounds, Level level, const Parent& parent,
                   const std::vector<std::string>& devices) {
  switch (kind) {
    case DescriptorKind::cpu:
      return writeLegacyCpu(group, bounds, level, parent);
    case DescriptorKind::memory:
      return writeLegacyMemory(group, bounds, level);
    case DescriptorKind::pids:
      return writeFile(group, "pids.max", orMax(bounds.pids));
    case DescriptorKind::blkio:
      return writeLegacyDisk(group, bounds, level, parent, devices);
    default:
      return {};  // cpuacct only accounts
  }
}

}  // namespace cloister::cgroups
