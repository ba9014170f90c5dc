// waitpid(2) that also says what the child has spent, to its very end.
//
// A process is charged until its last switch. That comes after its parent was told of its end, so a parent on another
// processor can reap it before: what it spends from there on is in its group's account, and in nobody's rusage (40 to
// 70 us were seen, once in some hundred ends). So the ended child gets a millisecond to leave, and is reaped then.
// Threads: any, each for children of its own. Failures: as wait4(2).
#pragma once

#include <sys/resource.h>
#include <sys/types.h>

#ifdef __cplusplus
extern "C" {
#endif

// One child at a time; `child` is -1 for any, `options` may be WNOHANG.
pid_t reapWhole(pid_t child, int* status, int options, struct rusage* used);

#ifdef __cplusplus
}
#endif
