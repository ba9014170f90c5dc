#define _GNU_SOURCE
#include "tests/bench/floor/steps.h"

#include <fcntl.h>
#include <linux/capability.h>
#include <linux/filter.h>
#include <linux/sched.h>
#include <linux/seccomp.h>
#include <signal.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

enum { firstForeignNumber = 1000, mostInstructions = 4096 };

void need(int good, const char* step) {
  if (good) return;
  perror(step);
  _exit(125);
}

void writeFile(const char* path, const char* text) {
  const int fd = open(path, O_WRONLY | O_CLOEXEC);
  need(fd >= 0 && write(fd, text, strlen(text)) == (ssize_t)strlen(text), path);
  close(fd);
}

pid_t cloneInto(uint64_t namespaces, int cgroup) {
  struct clone_args arguments;
  memset(&arguments, 0, sizeof arguments);
  arguments.flags = namespaces;
  arguments.exit_signal = SIGCHLD;
  if (cgroup >= 0) {
    arguments.flags |= CLONE_INTO_CGROUP;
    arguments.cgroup = (unsigned)cgroup;
  }
  const pid_t pid = (pid_t)syscall(SYS_clone3, &arguments, sizeof arguments);
  need(pid >= 0, "clone3");
  return pid;
}

void mapIds(pid_t pid) {
  char path[64];
  char map[64];
  snprintf(map, sizeof map, "0 %d %d\n", hostUid, idCount);
  snprintf(path, sizeof path, "/proc/%d/uid_map", pid);
  writeFile(path, map);
  snprintf(path, sizeof path, "/proc/%d/gid_map", pid);
  writeFile(path, map);
}

void becomeRootInside(void) {
  need(setresgid(0, 0, 0) == 0 && setresuid(0, 0, 0) == 0, "ids");
}

void installFilter(unsigned instructions) {
  static struct sock_filter filter[mostInstructions];
  need(instructions >= 2 && instructions <= mostInstructions, "filter size");
  filter[0] = (struct sock_filter)BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr));
  for (unsigned i = 1; i < instructions - 1; i++) {
    filter[i] = (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, firstForeignNumber + i, 0, 0);
  }
  filter[instructions - 1] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW);
  struct sock_fprog program = {.len = (unsigned short)instructions, .filter = filter};
  need(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0, "no_new_privs");
  need(syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, &program) == 0, "seccomp");
}

void dropBoundingSet(void) {
  for (int capability = 0; prctl(PR_CAPBSET_READ, capability, 0, 0, 0) == 1; capability++) {
    need(prctl(PR_CAPBSET_DROP, capability, 0, 0, 0) == 0, "bounding set");
  }
}

void dropCapabilities(void) {
  struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3, .pid = 0};
  struct __user_cap_data_struct none[2];
  memset(none, 0, sizeof none);
  dropBoundingSet();
  need(syscall(SYS_capset, &header, none) == 0, "capset");
}
