// Loaded into cloister-launcher by bench_metering: writes down what the kernel says of every child that is reaped
// there.
//
// A container's first process is the launcher's child, and it reaps all others of its container, so that its rusage is
// what the whole container has spent: by the kernel's account of processes, which knows nothing of groups.
//   CLOISTER_WITNESS=FILE    gets "PID MICROSECONDS STATUS" lines
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/bench/metering_reap.h"

static int file = -1;

// Before the launcher confines itself.
__attribute__((constructor)) static void begin(void) {
  const char* path = getenv("CLOISTER_WITNESS");
  if (path != NULL) file = open(path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0600);
}

pid_t waitpid(pid_t pid, int* status, int options) {
  struct rusage used;
  int ended = 0;
  const pid_t gone = reapWhole(pid, &ended, options, &used);
  if (status != NULL) *status = ended;
  if (gone > 0 && file >= 0) {
    const long long micros = (long long)(used.ru_utime.tv_sec + used.ru_stime.tv_sec) * 1000000 +
                             used.ru_utime.tv_usec + used.ru_stime.tv_usec;
    char line[96];
    const int length = snprintf(line, sizeof line, "%d %lld %d\n", (int)gone, micros, ended);
    if (write(file, line, (size_t)length) != length) file = -1;
  }
  return gone;
}
