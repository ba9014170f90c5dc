// Cgroups: one tree "<root>/t<index>/<instance>" of limits and identities, on cgroup v2 or on the v1 hybrid layout.
//
// On v2 everything is in one hierarchy. On hybrid each v1 controller (cpu, cpuacct, memory, pids; blkio where it is)
// has the same tree, and the v2 hierarchy beside them, without controllers, gives kill, freeze, cpu.stat and the
// identity (the inode of the group's directory there).
//
//   <mount>/<root>/              root, made by open()
//                  system/       Cloister's own processes may be put here by their supervisor
//                  t<index>/     a tenant: its plan's limits; kept while the tenant is, so it keeps what dead children
//                  spent
//                          <id>/ one instance or build; its own processes
//                               <exec>/ what an exec started; in the unified hierarchy alone, so that it bounds nothing
//
// Life cycle: open -> putTenant -> createInstance -> (child joins) -> kill -> removeInstance -> removeTenant.
// Threads: not shared; the launcher is single-threaded. Failures: Error{stage "cgroup", operation, path, errno}; a
// failed create leaves nothing behind. Preconditions: CAP_SYS_ADMIN or an owned, delegated subtree.
#pragma once

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "sandbox/base/launcher_protocol.h"
#include "sandbox/base/unique_fd.h"

namespace cloister::cgroups {

enum class Layout { unified, hybrid };

// An instance's or tenant's directories, open. `unified` first, then v1 ones on hybrid.
struct Group {
  std::uint64_t inode = 0;
  std::vector<std::pair<launcher::DescriptorKind, UniqueFd>> directories;
  // The unified directory's descriptor: for CLONE_INTO_CGROUP.
  [[nodiscard]] int unified() const;
};

struct FoundInstance {
  TenantIndex tenant = 0;
  std::string instance;
};

// What of the optional control this kernel gives; the rest is left out silently when limits are written.
struct Ability {
  std::string name;
  bool there = false;
  std::string how;  // the control file, or what is missing
};

enum class Motion { running, frozen };

class Tree {
 public:
  // Finds the layout from /proc/self/mountinfo, makes `root` (one path component, or "a.slice/b") in every hierarchy.
  // `storage`: the directory whose disks' rates are bounded.
  [[nodiscard]] static Result<std::unique_ptr<Tree>> open(const std::string& root, const std::string& storage);
  virtual ~Tree() = default;

  [[nodiscard]] virtual Layout layout() const = 0;
  [[nodiscard]] virtual std::vector<Ability> abilities() const = 0;
  // Creates or updates limits. Idempotent.
  [[nodiscard]] virtual Result<Group> putTenant(TenantIndex tenant, const launcher::TenantLimits& limits) = 0;
  [[nodiscard]] virtual Status removeTenant(TenantIndex tenant) = 0;
  // EEXIST when the instance is there.
  [[nodiscard]] virtual Result<Group> createInstance(TenantIndex tenant, const std::string& instance,
                                                     const launcher::Limits& limits) = 0;
  [[nodiscard]] virtual Result<Group> openInstance(TenantIndex tenant, const std::string& instance) = 0;
  // Moves `pid` into all hierarchies; on v2 a child born with CLONE_INTO_CGROUP needs only the v1 half: `born` says so.
  enum class Born { elsewhere, insideUnified };
  [[nodiscard]] virtual Status join(const Group& group, pid_t pid, Born born) = 0;
  // What a child of one thread, born inside the unified group, must still write "0" to: the v1 groups' tasks, open for
  // writing; none on v2. A thread that moves itself is the one case for which the kernel does not first wait until
  // nobody forks, an RCU grace period: six to twelve milliseconds on a machine that was idle.
  [[nodiscard]] virtual Result<std::vector<UniqueFd>> joinFiles(const Group& group) = 0;
  // A group within the instance's, for a process that is born there; the directory comes back. Those of earlier execs
  // that are empty go. EEXIST when it is there.
  [[nodiscard]] virtual Result<UniqueFd> createExec(TenantIndex tenant, const std::string& instance,
                                                    const std::string& exec) = 0;
  // SIGKILL to what is in it, forks included; returns at once.
  [[nodiscard]] virtual Status killExec(TenantIndex tenant, const std::string& instance, const std::string& exec) = 0;
  // As tryRemoveInstance() and openEvents() for an instance.
  [[nodiscard]] virtual Result<bool> tryRemoveExec(TenantIndex tenant, const std::string& instance,
                                                   const std::string& exec) = 0;
  [[nodiscard]] virtual Result<UniqueFd> openExecEvents(TenantIndex tenant, const std::string& instance,
                                                        const std::string& exec) = 0;
  // SIGKILL to every process, forks and execs included; returns at once.
  [[nodiscard]] virtual Status kill(TenantIndex tenant, const std::string& instance) = 0;
  // Stops every process where it is, or lets it go on; returns at once. What is frozen still dies of kill(), and gets
  // any other signal when it runs again.
  [[nodiscard]] virtual Status setMotion(TenantIndex tenant, const std::string& instance, Motion motion) = 0;
  [[nodiscard]] virtual Result<bool> populated(TenantIndex tenant, const std::string& instance) = 0;
  // Processes of the group itself, without execs, in kernel order; the smallest pid is cloister-init.
  [[nodiscard]] virtual Result<std::vector<pid_t>> processes(TenantIndex tenant, const std::string& instance) = 0;
  // Waits up to `milliseconds` for it to empty, then removes the directories. ENOENT counts as done.
  [[nodiscard]] virtual Status removeInstance(TenantIndex tenant, const std::string& instance, int milliseconds) = 0;
  // One step of the same that never waits: false while something is left, and `events` (openEvents) tells when to try
  // again: by POLLPRI when the last process goes, and not at all when only the kernel has to catch up.
  [[nodiscard]] virtual Result<bool> tryRemoveInstance(TenantIndex tenant, const std::string& instance) = 0;
  [[nodiscard]] virtual Result<UniqueFd> openEvents(TenantIndex tenant, const std::string& instance) = 0;
  [[nodiscard]] virtual Result<std::vector<FoundInstance>> scan() = 0;
  // Removes every empty group of ours, the root too: for --purge and for tests. EBUSY when something still runs.
  [[nodiscard]] virtual Status removeAll() = 0;
};

}  // namespace cloister::cgroups
