// Limits as control-file writes, for one group in one hierarchy.
//
// A core is kPeriod microseconds of CPU time a period. Zero means no own bound. On v1 the kernel refuses a child's CPU
// quota above its parent's and a parent's below a child's: writers clamp the child. Threads: reentrant. Failures:
// Error{stage "cgroup", operation, path, errno}.
#pragma once

#include "sandbox/base/launcher_protocol.h"
#include "sandbox/cgroups/control_files.h"

namespace cloister::cgroups {

inline constexpr std::uint64_t kPeriod = 100'000;  // microseconds

struct Bounds {
  std::uint64_t memoryBytes = 0;
  std::uint64_t cpuMillis = 0;
  std::uint64_t pids = 0;
};

// Microseconds a period, at least the kernel's minimum of 1,000.
[[nodiscard]] std::uint64_t quotaOf(std::uint64_t cpuMillis);

// instance: its processes die together when it runs out of memory (v2). tenant: one instance's end is not the others'.
enum class Level { tenant, instance };

[[nodiscard]] Status writeUnified(const Place& group, const Bounds& bounds, Level level);
// The part of `bounds` that the v1 controller `kind` enforces. `ceiling` is the parent's quota (kUnlimited: none).
[[nodiscard]] Status writeLegacy(const Place& group, launcher::DescriptorKind kind, const Bounds& bounds,
                                 std::uint64_t ceiling);
// cpu.cfs_quota_us; kUnlimited writes -1.
[[nodiscard]] Status writeQuota(const Place& group, std::uint64_t quota);

}  // namespace cloister::cgroups
