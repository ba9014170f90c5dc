// waitpid(2) that also says what the child has spent, to its very end.
//
// A process is charged until its last switch. That comes after its parent was told of its end, so a parent on another
// processor can reap it before: what it spends from there on is in its group's account, and in nobody's rusage (40 to
// 70 us were seen, once in some hundred ends). So the ended child gets a millisecond to leave, and is reaped then.
// Threads: any, each for children of its own. Failures: as wait4(2).
#pragma once

#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>

// One child at a time; the first two words are waitid(2)'s, `options` may be WNOHANG.
static inline pid_t reapWhole(idtype_t which, id_t id, int* status, int options, struct rusage* used) {
  siginfo_t ended;
  ended.si_pid = 0;
  if (waitid(which, id, &ended, WEXITED | WNOWAIT | (options & WNOHANG)) != 0) return -1;
  if (ended.si_pid == 0) return 0;
  const struct timespec leave = {0, 1000000};
  nanosleep(&leave, 0);
  return wait4(ended.si_pid, status, 0, used);
}
