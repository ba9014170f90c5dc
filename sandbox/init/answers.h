// The calls that the filter hands to cloister-init: sysinfo(2), answered with the container's own memory and uptime,
// and in a narrowed container those that its list lacks.
//
// Memory is what the container's /proc/meminfo says, load is none. The answer goes into the caller's memory through
// /proc/<pid>/mem, which the kernel allows for processes of init's own user that may be dumped; any other caller gets
// EPERM and learns nothing. A call that goes on is one that the class's filter has let through: the kernel takes the
// stricter of two filters' answers, and asks here only when that is to ask. Threads: init's one. Failures: a caller
// that is gone is forgotten.
#pragma once

namespace cloister {

// One call that waits at `listener`; returns at once when it was taken back. The number of a call other than sysinfo,
// which got ENOSYS if `refuse` and else goes on; -1 for none.
[[nodiscard]] int answerCall(int listener, bool refuse);

}  // namespace cloister
