// System calls that cloister-init answers in the kernel's place: sysinfo(2), with the container's own memory, uptime
// and load; sched_getaffinity(2) and sched_setaffinity(2), with as many processors as the container's limit has room
// for.
//
// Without the latter two every runtime that counts so (Go, Java, Node, Rust, OpenMP, nproc) starts a thread for each
// processor of the host. Pinning containers to processors was left: the quota bounds what they use already, a fixed
// processor that a neighbour keeps busy halves what the container gets while others idle, and the scheduler could not
// help. cpuset groups pin as well, and many hosts delegate none. So a container runs everywhere and counts its share.
// init itself asks the kernel with a mask of kKernelMaskBytes; a program that does the same learns the host's number.
//
// The kernel hands such a call to whoever holds the filter's listener (seccomp_unotify(2)); that is PID 1 of the same
// container, as the same user, so a tenant can fool only itself. Threads and failures: a pure function.
#pragma once

#include <linux/filter.h>

#include <vector>

namespace cloister::policy {

// `filter` behind instructions that send the answered calls to the listener; its own jumps are relative and stay good.
[[nodiscard]] std::vector<sock_filter> withAnsweredCalls(const std::vector<sock_filter>& filter);

}  // namespace cloister::policy
