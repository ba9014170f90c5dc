#define _GNU_SOURCE
#include <fcntl.h>
#include <grp.h>
#include <linux/keyctl.h>
#include <linux/landlock.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "tests/bench/floor/steps.h"

enum { allFirstRights = (1 << 13) - 1, readRights = 1 | 4 | 8 };

static void allow(int ruleset, const char* path, uint64_t rights) {
  const int fd = open(path, O_PATH | O_CLOEXEC);
  if (fd < 0) return;
  const struct landlock_path_beneath_attr rule = {.allowed_access = rights, .parent_fd = fd};
  need(syscall(SYS_landlock_add_rule, ruleset, LANDLOCK_RULE_PATH_BENEATH, &rule, 0) == 0, "landlock rule");
  close(fd);
}

/* Where the kernel has no Landlock, nothing. */
static void restrictFiles(void) {
  const struct landlock_ruleset_attr attributes = {.handled_access_fs = allFirstRights};
  const int ruleset = (int)syscall(SYS_landlock_create_ruleset, &attributes, sizeof attributes.handled_access_fs, 0);
  if (ruleset < 0) return;
  allow(ruleset, "/", readRights);
  allow(ruleset, "/app", allFirstRights);
  allow(ruleset, "/tmp", allFirstRights);
  allow(ruleset, "/run", allFirstRights);
  allow(ruleset, "/dev", readRights | 2);
  allow(ruleset, "/proc", readRights | 2);
  need(syscall(SYS_landlock_restrict_self, ruleset, 0) == 0, "landlock");
  close(ruleset);
}

void startOwnClock(void) {
  char offsets[96];
  struct timespec monotonic;
  struct timespec boot;
  if (access("/proc/self/ns/time_for_children", F_OK) != 0) return;
  need(unshare(CLONE_NEWTIME) == 0, "time namespace");
  clock_gettime(CLOCK_MONOTONIC, &monotonic);
  clock_gettime(CLOCK_BOOTTIME, &boot);
  snprintf(offsets, sizeof offsets, "monotonic -%ld 0\nboottime -%ld 0\n", (long)monotonic.tv_sec, (long)boot.tv_sec);
  need(prctl(PR_SET_DUMPABLE, 1, 0, 0, 0) == 0, "dumpable");
  writeFile("/proc/self/timens_offsets", offsets);
  const int own = open("/proc/self/ns/time_for_children", O_RDONLY | O_CLOEXEC);
  need(own >= 0 && setns(own, CLONE_NEWTIME) == 0, "time namespace");
  close(own);
}

struct Filter readFilter(const char* path) {
  static struct sock_filter instructions[BPF_MAXINSNS];
  const int fd = open(path, O_RDONLY | O_CLOEXEC);
  const ssize_t size = fd < 0 ? -1 : read(fd, instructions, sizeof instructions);
  need(size > 0, path);
  close(fd);
  const struct Filter filter = {.length = (unsigned short)((size_t)size / sizeof instructions[0]),
                                .instructions = instructions};
  return filter;
}

void confine(const struct Filter* filter) {
  const struct rlimit files = {256, 256};
  const struct rlimit none = {0, 0};
  need(setsid() >= 0, "setsid");
  syscall(SYS_keyctl, KEYCTL_JOIN_SESSION_KEYRING, NULL, 0, 0, 0);
  need(setrlimit(RLIMIT_NOFILE, &files) == 0 && setrlimit(RLIMIT_CORE, &none) == 0, "rlimits");
  umask(022);
  need(syscall(SYS_close_range, 3, ~0U, 4 /* CLOSE_RANGE_CLOEXEC */) == 0, "close_range");
  need(chdir("/") == 0, "chdir");
  need(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0, "no_new_privs");
  restrictFiles();
  dropBoundingSet();
  need(setgroups(0, NULL) == 0 && setresgid(appUid, appUid, appUid) == 0, "gid");
  need(setresuid(appUid, appUid, appUid) == 0, "uid"); /* takes the capabilities */
  const struct sock_fprog program = {.len = filter->length, .filter = filter->instructions};
  need(syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, SECCOMP_FILTER_FLAG_NEW_LISTENER, &program) >= 0, "seccomp");
}
