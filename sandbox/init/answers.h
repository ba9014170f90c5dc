// The calls that the filter hands to cloister-init: sysinfo(2), answered with the container's own memory and uptime.
//
// Memory is what the container's /proc/meminfo says, load is none. The answer goes into the caller's memory through
// /proc/<pid>/mem, which the kernel allows for processes of init's own user that may be dumped; any other caller gets
// EPERM and learns nothing. Threads: init's one. Failures: a caller that is gone is forgotten.
#pragma once

namespace cloister {

// One call that waits at `listener`; returns at once when it was taken back.
void answerCall(int listener);

}  // namespace cloister
