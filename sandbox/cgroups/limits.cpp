#include "sandbox/cgroups/limits.h"

#include <algorithm>
#include <cerrno>

namespace cloister::cgroups {
namespace {

constexpr std::uint64_t kSmallestQuota = 1'000;
constexpr const char* kLimit = "memory.limit_in_bytes";
constexpr const char* kLimitWithSwap = "memory.memsw.limit_in_bytes";

std::string orMax(std::uint64_t bound) {
  return bound == 0 ? "max" : std::to_string(bound);
}
std::string orMinusOne(std::uint64_t bound) {
  return bound == 0 ? "-1" : std::to_string(bound);
}

// Memory and memory + swap are one bound, so nothing of a tenant is swapped. The kernel keeps limit <= limit with swap
// at every step: raise the second first.
Status writeLegacyMemory(const Place& group, std::uint64_t bytes) {
  const std::string text = orMinusOne(bytes);
  auto wrote = writeFile(group, kLimit, text);
  if (!wrote && wrote.error().code == EINVAL) {
    if (auto raised = writeIfPresent(group, kLimitWithSwap, text); !raised) return raised;
    wrote = writeFile(group, kLimit, text);
  }
  if (!wrote) return wrote;
  return writeIfPresent(group, kLimitWithSwap, text);
}

}  // namespace

std::uint64_t quotaOf(std::uint64_t cpuMillis) {
  if (cpuMillis > kUnlimited / kPeriod) return kUnlimited / 1000;
  return std::max(cpuMillis * (kPeriod / 1000), kSmallestQuota);
}

Status writeUnified(const Place& group, const Bounds& bounds, Level level) {
  const std::string quota = bounds.cpuMillis == 0 ? "max" : std::to_string(quotaOf(bounds.cpuMillis));
  if (auto wrote = writeFile(group, "cpu.max", quota + " " + std::to_string(kPeriod)); !wrote) return wrote;
  if (auto wrote = writeFile(group, "memory.max", orMax(bounds.memoryBytes)); !wrote) return wrote;
  if (auto wrote = writeIfPresent(group, "memory.swap.max", "0"); !wrote) return wrote;
  if (level == Level::instance) {
    if (auto wrote = writeFile(group, "memory.oom.group", "1"); !wrote) return wrote;
  }
  return writeFile(group, "pids.max", orMax(bounds.pids));
}

Status writeQuota(const Place& group, std::uint64_t quota) {
  return writeFile(group, "cpu.cfs_quota_us", quota == kUnlimited ? "-1" : std::to_string(quota));
}

Status writeLegacy(const Place& group, launcher::DescriptorKind kind, const Bounds& bounds, std::uint64_t ceiling) {
  using launcher::DescriptorKind;
  switch (kind) {
    case DescriptorKind::cpu: {
      if (auto wrote = writeFile(group, "cpu.cfs_period_us", std::to_string(kPeriod)); !wrote) return wrote;
      return writeQuota(group, bounds.cpuMillis == 0 ? kUnlimited : std::min(quotaOf(bounds.cpuMillis), ceiling));
    }
    case DescriptorKind::memory:
      return writeLegacyMemory(group, bounds.memoryBytes);
    case DescriptorKind::pids:
      return writeFile(group, "pids.max", orMax(bounds.pids));
    default:
      return {};  // cpuacct and blkio only account
  }
}

}  // namespace cloister::cgroups
