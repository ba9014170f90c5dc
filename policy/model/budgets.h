// Budgets of what the kernel counts a user rather than a control group.
//
// Such counts have three levels, and each has to be the tenant's own: the user id in the container's user namespace;
// the id that owns that namespace, for the namespace's sum is charged to its owner; and, for what ids share over all
// namespaces, the id on the host. All three are ids of the tenant's range (sandbox/launcher/containers.cpp clones under
// the tenant's id), so the host's limits, fs.inotify.max_user_instances for one, hold for a tenant and not for all
// tenants together. SECURITY.md has the table of what is counted where.
// Threads and failures: constants.
#pragma once

#include <cstdint>

namespace cloister::policy {

// What all containers of a tenant may hold together: the launcher's own limits, which a new user namespace keeps as its
// ceiling.
struct TenantBudget {
  static constexpr std::uint64_t kPendingSignals = 16'384;  // POSIX timers among them
  static constexpr std::uint64_t kMessageQueueBytes = 3'276'800;
  static constexpr std::uint64_t kPinnedBytes = 8U << 20U;  // SysV segments and huge pages; mlock() is a process's
};

// One container's share.
struct ContainerBudget {
  static constexpr std::uint64_t kPendingSignals = 4'096;
  static constexpr std::uint64_t kMessageQueueBytes = 819'200;  // Linux's own for a user: nine queues as they come
  static constexpr std::uint64_t kPinnedBytes = 64U << 10U;
  // Not 0: a program that core_pattern names is started, as the host's root, with every limit but this one.
  static constexpr std::uint64_t kCoreBytes = 1;
  static constexpr std::uint64_t kUserNamespaces = 0;              // below its own: a second wall behind the filter
  static constexpr std::uint64_t kTerminals = 16;                  // kernel.pty.max counts them over the host
  static constexpr std::uint64_t kSharedMemoryBytes = 64U << 20U;  // /dev/shm, charged to the container's memory
  static constexpr std::uint64_t kSharedMemoryFiles = 4'096;
};

}  // namespace cloister::policy
