// Processes by descriptor: clone3 with a pidfd, pidfd signals, namespaces, capabilities, sealed memory files.
//
// Threads: cloneProcess() forks the calling thread only; call it from a single-threaded process.
// Failures: Error{stage "process", operation, path, errno}.
// Preconditions stand at each function: most need a capability in the namespace that they act on.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <initializer_list>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "sandbox/base/result.h"
#include "sandbox/base/unique_fd.h"

namespace cloister::process {

struct Child {
  pid_t pid = 0;  // 0: this is the child
  UniqueFd pidfd;
};
// clone3(2) as a fork: `flags` are CLONE_NEW* (and CLONE_PARENT); `cgroup` >= 0 adds CLONE_INTO_CGROUP.
[[nodiscard]] Result<Child> cloneProcess(std::uint64_t flags, int cgroup);
// The same with CLONE_NEWUSER, the new user namespace being `owner`'s: what the kernel counts a user is charged to that
// id for the namespace's sum. Preconditions: CAP_SETUID, and keepCapabilitiesOverIdentity() before; effective and saved
// user id are the same. The child's effective user id is `owner` until it takes one of its namespace.
[[nodiscard]] Result<Child> cloneProcessFor(uid_t owner, std::uint64_t flags, int cgroup);
// A change of the effective user id leaves this process its capabilities. A new user namespace starts without this.
[[nodiscard]] Status keepCapabilitiesOverIdentity();

[[nodiscard]] Result<UniqueFd> openPidfd(pid_t pid);
[[nodiscard]] Status sendSignal(int pidfd, int signal);
// setns(2) into the namespaces `flags` of the process behind `pidfd`. Needs CAP_SYS_ADMIN in each.
[[nodiscard]] Status enterNamespaces(int pidfd, int flags);
// Closes every descriptor from `first` on.
[[nodiscard]] Status closeFrom(int first);
// execveat(2) of an open file. Returns only on failure.
[[nodiscard]] Status executeDescriptor(int file, const std::vector<std::string>& argv,
                                       const std::vector<std::string>& environment);

// Capability numbers as in capabilities(7). Sets permitted and effective to exactly `keep`, inheritable and ambient to
// none.
[[nodiscard]] Status setCapabilities(std::span<const unsigned> keep);
// Drops everything but `keep` from the bounding set. Needs CAP_SETPCAP.
[[nodiscard]] Status boundCapabilities(std::span<const unsigned> keep);
// A new, empty session keyring, so that the parent's cannot be read. ENOSYS (no keys in this kernel) is success.
[[nodiscard]] Status newSessionKeyring();
// Installs a seccomp filter for this thread. Needs no_new_privs or CAP_SYS_ADMIN. `program` points to sock_filter[].
[[nodiscard]] Status installFilter(const void* program, std::size_t instructions);
// The same, and the descriptor that gets the calls which the filter answers with SECCOMP_RET_USER_NOTIF.
[[nodiscard]] Result<UniqueFd> installAnsweredFilter(const void* program, std::size_t instructions);
// No other container's threads beside this one's on the two halves of a core. Without SMT, or without core scheduling
// in the kernel, nothing happens.
[[nodiscard]] Status keepCoresApart();
// What core scheduling has for `pid` (0: this process): its cookie. ENODEV: no SMT; EINVAL: not in this kernel.
[[nodiscard]] Result<std::uint64_t> coreCookie(pid_t pid);
// A time namespace of this process's own, whose clocks since boot start now. Without one in the kernel nothing happens.
// Preconditions: CAP_SYS_ADMIN and CAP_SYS_TIME in the current user namespace, one thread, a /proc that shows this
// process.
[[nodiscard]] Status startOwnClock();

// `path` as a sealed memory file: no one can write it any more, whoever opens it again.
[[nodiscard]] Result<UniqueFd> sealedCopy(std::string_view path, std::string_view name);

// `bytes` as such a file.
[[nodiscard]] Result<UniqueFd> sealedMemory(std::string_view bytes, std::string_view name);
// What such a file holds, at most `limit` bytes (EFBIG beyond). EINVAL for any other descriptor: a stranger's read
// could block, or give something else the next time.
[[nodiscard]] Result<std::string> readSealed(int file, std::size_t limit);

struct ResourceLimit {
  int resource = 0;  // RLIMIT_*
  std::uint64_t most = 0;
};
// Soft and hard limit alike. A limit above the present hard one needs CAP_SYS_RESOURCE; without it the hard one stays.
[[nodiscard]] Status limitResources(std::initializer_list<ResourceLimit> limits);

// "/proc/<pid>/<entry>" as a path.
[[nodiscard]] std::string procPath(pid_t pid, std::string_view entry);
// When the process began, in nanoseconds of the boot clock: no earlier than it was, and at most a tick (10 ms) later.
[[nodiscard]] Result<std::uint64_t> startNanos(pid_t pid);
// True when `pid` is the first process of its own pid namespace.
[[nodiscard]] bool isNamespaceInit(pid_t pid);

}  // namespace cloister::process
