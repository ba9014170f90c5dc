// A user namespace of one's own gives all capabilities back, and with them the kernel's least trodden paths: the first
// step of CVE-2022-0185, CVE-2022-0492 and most kernel exploits since.
#include <linux/sched.h>
#include <sys/syscall.h>

#include "attack.h"

static const struct {
  const char* name;
  unsigned long flag;
  const char* link;
} kNamespaces[] = {{"user", CLONE_NEWUSER, "user"},      {"mount", CLONE_NEWNS, "mnt"}, {"pid", CLONE_NEWPID, "pid"},
                   {"network", CLONE_NEWNET, "net"},     {"ipc", CLONE_NEWIPC, "ipc"},  {"uts", CLONE_NEWUTS, "uts"},
                   {"cgroup", CLONE_NEWCGROUP, "cgroup"}};

static void say(long result, const char* call, const char* name) {
  char what[64];
  snprintf(what, sizeof what, "%s %s", call, name);
  refused(result, what);
}

static long cloned(unsigned long flags) {
  const long child = syscall(SYS_clone, flags | SIGCHLD, 0, 0, 0, 0);
  if (child == 0) _exit(0);
  if (child > 0) waitpid((pid_t)child, NULL, 0);
  return child;
}

static long cloned3(unsigned long flags) {
  struct clone_args arguments = {.flags = flags, .exit_signal = SIGCHLD};
  const long child = syscall(SYS_clone3, &arguments, sizeof arguments);
  if (child == 0) _exit(0);
  if (child > 0) waitpid((pid_t)child, NULL, 0);
  return child;
}

int main(void) {
  const unsigned long user = CLONE_NEWUSER;
  const unsigned long high = 1UL << 32U;  // the kernel looks at the low 32 bits only
  for (size_t i = 0; i < sizeof kNamespaces / sizeof *kNamespaces; ++i) {
    const char* name = kNamespaces[i].name;
    const unsigned long flag = kNamespaces[i].flag;
    say(cloned(flag), "clone", name);
    say(cloned(flag | user), "clone user and", name);
    say(cloned(flag | high), "clone with a high bit", name);
    say(cloned3(flag), "clone3", name);
    say(cloned3(flag | user), "clone3 user and", name);
    say(syscall(SYS_unshare, flag), "unshare", name);
    say(syscall(SYS_unshare, flag | user), "unshare user and", name);
    say(syscall(SYS_unshare, flag | high), "unshare with a high bit", name);
    for (int way = 0; way < 2; ++way) {
      char path[64];
      snprintf(path, sizeof path, "/proc/%s/ns/%s", way == 0 ? "self" : "1", kNamespaces[i].link);
      const int fd = open(path, O_RDONLY | O_CLOEXEC);
      if (fd >= 0) say(syscall(SYS_setns, fd, 0), "setns", path);
    }
  }
  refused(syscall(SYS_unshare, CLONE_NEWTIME), "unshare time");
  refused(write_file("/proc/self/uid_map", "0 0 4294967295\n"), "a map of all the host's users");
  return verdict();
}
