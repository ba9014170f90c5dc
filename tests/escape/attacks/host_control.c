// The host itself: modules, another kernel, swap, reboot, clocks, names, ports, real-time priority. Each call is made
// so that it would do no harm if it came through.
#include <sched.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/timex.h>
#include <time.h>

#include "attack.h"

int main(void) {
  char buffer[128] = {0};
  refused(syscall(SYS_init_module, buffer, sizeof buffer, ""), "init_module");
  refused(syscall(SYS_finit_module, 0, "", 0), "finit_module");
  refused(syscall(SYS_delete_module, "no-such-module", O_NONBLOCK), "delete_module");
  refused(syscall(SYS_kexec_load, 0UL, 0UL, NULL, 0UL), "kexec_load");
  refused(syscall(SYS_kexec_file_load, 0, 0, 0UL, "", 0UL), "kexec_file_load");
  refused(syscall(SYS_reboot, 0xfee1deadUL, 672274793UL, 0UL, NULL), "reboot");  // turns Ctrl-Alt-Del off
  refused(syscall(SYS_swapon, "/app/swap", 0), "swapon");
  refused(syscall(SYS_swapoff, "/app/swap"), "swapoff");
  struct timespec now;
  clock_gettime(CLOCK_REALTIME, &now);
  const struct timeval same = {now.tv_sec, now.tv_nsec / 1000};
  refused(syscall(SYS_settimeofday, &same, NULL), "settimeofday");
  refused(syscall(SYS_clock_settime, CLOCK_REALTIME, &now), "clock_settime");
  struct timex step = {.modes = ADJ_SETOFFSET};
  refused(syscall(SYS_adjtimex, &step), "adjtimex");
  refused(syscall(SYS_clock_adjtime, CLOCK_REALTIME, &step), "clock_adjtime");
  refused(syscall(SYS_syslog, 3, buffer, sizeof buffer), "syslog");
  refused(syscall(SYS_acct, "/app/accounting"), "acct");
  refused(syscall(SYS_quotactl, 0x800002, NULL, 0, buffer), "quotactl");
  refused(syscall(SYS_quotactl_fd, 0, 0x800002, 0, buffer), "quotactl_fd");
  refused(syscall(SYS_sethostname, "escaped", 7), "sethostname");
  refused(syscall(SYS_setdomainname, "escaped", 7), "setdomainname");
  refused(syscall(SYS_iopl, 3), "iopl");
  refused(syscall(SYS_ioperm, 0x80UL, 1UL, 1), "ioperm");
  refused(syscall(SYS_vhangup), "vhangup");
  const struct sched_param urgent = {.sched_priority = 1};
  refused(syscall(SYS_sched_setscheduler, 0, SCHED_FIFO, &urgent), "real-time priority");
  refused(setpriority(PRIO_PROCESS, 0, -20), "a better nice value");
  refused(syscall(SYS_ioprio_set, 1, 0, (1 << 13) | 0), "real-time input and output");
  const struct rlimit more = {1UL << 20U, 1UL << 20U};
  refused(setrlimit(RLIMIT_NOFILE, &more), "more descriptors");
  refused(setrlimit(RLIMIT_MEMLOCK, &more), "more locked memory");
  return verdict();
}
