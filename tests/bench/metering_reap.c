#define _GNU_SOURCE  // wait4

#include "tests/bench/metering_reap.h"

#include <sys/wait.h>
#include <time.h>

pid_t reapWhole(pid_t child, int* status, int options, struct rusage* used) {
  const idtype_t which = child > 0 ? P_PID : P_ALL;
  siginfo_t ended;
  ended.si_pid = 0;
  if (waitid(which, child > 0 ? (id_t)child : 0, &ended, WEXITED | WNOWAIT | (options & WNOHANG)) != 0) return -1;
  if (ended.si_pid == 0) return 0;
  const struct timespec leave = {0, 1000000};
  nanosleep(&leave, 0);
  return wait4(ended.si_pid, status, 0, used);
}
