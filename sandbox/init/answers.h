// The calls that the filter hands to cloister-init: sysinfo(2), sched_getaffinity(2) and sched_setaffinity(2), answered
// for the container alone, and in a narrowed container those that its list lacks.
//
// What is answered: live_views.h, processors.h. Answers go into the caller's memory through /proc/<pid>/mem, which the
// kernel allows for processes of init's own user that may be dumped; any other caller gets EPERM for sysinfo(2) and
// learns nothing, and the kernel's own answer about processors. A call that goes on is one that the class's filter has
// let through: the kernel takes the stricter of two filters' answers, and asks here only when that is to ask. Threads:
// init's one. Failures: a caller that is gone is forgotten.
#pragma once

namespace cloister {

// Whether this init keeps the container's live views, or reads them.
enum class Views { kept, read };

// One call that waits at `listener`; returns at once when it was taken back. The number of a call other than those
// above, which got ENOSYS if `refuse` and else goes on; -1 for none.
[[nodiscard]] int answerCall(int listener, bool refuse, Views views);

}  // namespace cloister
