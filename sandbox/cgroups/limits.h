// Limits as control-file writes, for one group in one hierarchy.
//
//   bound             v2 (one tree)                     v1 (a tree a controller)
//   cpu quota         cpu.max                           cpu.cfs_quota_us
//   cpu burst         cpu.max.burst                     cpu.cfs_burst_us
//   cpu share         cpu.weight                        cpu.shares
//   memory            memory.max, memory.swap.max 0     memory.limit_in_bytes = memory.memsw.limit_in_bytes
//   memory, soft      memory.high: slowed, reclaimed    memory.soft_limit_in_bytes: reclaimed first when the host is
//   short memory, the end   memory.oom.group 1                one process is killed disk rates        io.max of the
//   tenant's group      blkio.throttle.* of each instance, see below disk share        io.weight - processes pids.max
//   pids.max
//
// A core is kPeriod microseconds of CPU time a period. Zero means no own bound. A burst spends what earlier periods
// left over, so it moves CPU time and gives none. On v1 the kernel refuses a child's CPU quota above its parent's and a
// parent's below a child's: writers clamp the child. v1 throttles a group without those below it, so a tenant's disk
// rates are written into each of its instances and hold for each alone.
// What a kernel may lack (burst, weights, io, soft bounds) is left out without a failure; abilities() of the tree says
// so. Threads: reentrant. Failures: Error{stage "cgroup", operation, path, errno}.
#pragma once

#include <string>
#include <vector>

#include "sandbox/base/launcher_protocol.h"
#include "sandbox/cgroups/control_files.h"

namespace cloister::cgroups {

inline constexpr std::uint64_t kPeriod = 100'000;  // microseconds

struct Bounds {
  std::uint64_t memoryBytes = 0;
  std::uint64_t cpuMillis = 0;
  std::uint64_t pids = 0;
  std::uint64_t memoryHighBytes = 0;
  std::uint64_t cpuBurstMillis = 0;
  std::uint64_t diskBytesPerSecond = 0;       // each of reads and writes, a device
  std::uint64_t diskOperationsPerSecond = 0;  // likewise
};
[[nodiscard]] Bounds boundsOf(const launcher::TenantLimits& limits);
[[nodiscard]] Bounds boundsOf(const launcher::Limits& limits);

// Microseconds a period, at least the kernel's minimum of 1,000.
[[nodiscard]] std::uint64_t quotaOf(std::uint64_t cpuMillis);
// The share under contention follows the quota: one core is the kernel's default of 100, between 1 and 10,000.
[[nodiscard]] std::uint64_t weightOf(std::uint64_t cpuMillis);

// instance: its processes die together when it runs out of memory (v2). tenant: one instance's end is not the others'.
enum class Level { tenant, instance };

// The tenant's group as its instances' bounds follow from it.
struct Parent {
  std::uint64_t quota = kUnlimited;  // microseconds
  std::uint64_t burst = 0;           // microseconds
  std::string bytesPerSecond;        // v1 throttle lines, "major:minor rate"
  std::string operationsPerSecond;
};
// Whether an instance's bounds of `kind` follow from its tenant's: for the others there is nothing to read.
[[nodiscard]] constexpr bool followsParent(launcher::DescriptorKind kind) {
  return kind == launcher::DescriptorKind::unified || kind == launcher::DescriptorKind::cpu ||
         kind == launcher::DescriptorKind::blkio;
}
// What `kind` (unified, or a v1 controller) has to tell of `tenant`.
[[nodiscard]] Result<Parent> readParent(const Place& tenant, launcher::DescriptorKind kind);

// `devices`: "major:minor" of the block devices whose rates are bounded.
[[nodiscard]] Status writeUnified(const Place& group, const Bounds& bounds, Level level, const Parent& parent,
                                  const std::vector<std::string>& devices);
// The part of `bounds` that the v1 controller `kind` enforces.
[[nodiscard]] Status writeLegacy(const Place& group, launcher::DescriptorKind kind, const Bounds& bounds, Level level,
                                 const Parent& parent, const std::vector<std::string>& devices);
// Lowers a v1 instance's quota (and burst) to the tenant's.
[[nodiscard]] Status clampQuota(const Place& group, std::uint64_t quota);

}  // namespace cloister::cgroups
