// A program that the kernel starts as root of the host when a process crashes.
#include <sys/resource.h>

#include "attack.h"

static void crash(void) {
  abort();
}

int main(void) {
  refused_write("/proc/sys/kernel/core_pattern", "|/bin/touch /tmp/cloister-escape");
  refused_write("/proc/sys/kernel/core_pipe_limit", "16");
  refused_write("/proc/sys/fs/suid_dumpable", "2");
  const struct rlimit large = {RLIM_INFINITY, RLIM_INFINITY};
  refused(setrlimit(RLIMIT_CORE, &large), "raising the core limit");
  const int status = in_child(crash);
  if (status == -1 || !WIFSIGNALED(status)) return 2;
  if (WCOREDUMP(status)) escaped("a core was dumped");
  return verdict();
}
