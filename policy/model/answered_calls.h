// System calls that cloister-init answers in the kernel's place: sysinfo(2), with the container's memory, its own
// uptime, and nobody's load.
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
