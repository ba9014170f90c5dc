#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tests/bench/floor/steps.h"

static const char* const kLegacy[] = {"cpu", "cpuacct", "memory", "pids", "blkio"};

static void limit(const char* group, const char* file, const char* text) {
  char path[256];
  snprintf(path, sizeof path, "%s/%s", group, file);
  if (access(path, F_OK) == 0) writeFile(path, text);
}

static void add(struct Groups* groups, const char* mount, const char* parent) {
  char* path = groups->paths[groups->count];
  snprintf(path, sizeof groups->paths[0], "%s/%s/%d", mount, parent, (int)getpid());
  need(mkdir(path, 0755) == 0, path);
  groups->directories[groups->count] = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  need(groups->directories[groups->count] >= 0, path);
  if (groups->count > 0) {
    groups->tasks[groups->count] = openat(groups->directories[groups->count], "tasks", O_WRONLY | O_CLOEXEC);
    need(groups->tasks[groups->count] >= 0, path);
  }
  groups->count++;
}

static const char* last(const struct Groups* groups) {
  return groups->paths[groups->count - 1];
}

static void limitUnified(const char* group) {
  limit(group, "cpu.max", "100000 100000");
  limit(group, "memory.max", "67108864");
  limit(group, "memory.swap.max", "0");
  limit(group, "memory.oom.group", "1");
  limit(group, "pids.max", "32");
}

static void limitLegacy(const char* controller, const char* group) {
  if (strcmp(controller, "cpu") == 0) {
    limit(group, "cpu.cfs_period_us", "100000");
    limit(group, "cpu.cfs_quota_us", "100000");
  } else if (strcmp(controller, "memory") == 0) {
    limit(group, "memory.limit_in_bytes", "67108864");
    limit(group, "memory.memsw.limit_in_bytes", "67108864");
  } else if (strcmp(controller, "pids") == 0) {
    limit(group, "pids.max", "32");
  }
}

struct Groups makeGroups(const char* parent) {
  struct Groups groups = {.count = 0};
  if (access("/sys/fs/cgroup/cgroup.controllers", F_OK) == 0) {
    add(&groups, "/sys/fs/cgroup", parent);
    limitUnified(last(&groups));
    return groups;
  }
  add(&groups, "/sys/fs/cgroup/unified", parent);
  for (size_t i = 0; i < sizeof kLegacy / sizeof kLegacy[0]; i++) {
    char mount[64];
    snprintf(mount, sizeof mount, "/sys/fs/cgroup/%s", kLegacy[i]);
    if (access(mount, F_OK) != 0) continue;
    add(&groups, mount, parent);
    limitLegacy(kLegacy[i], last(&groups));
  }
  return groups;
}

void joinGroups(const struct Groups* groups) {
  for (int i = 1; i < groups->count; i++) need(write(groups->tasks[i], "0", 1) == 1, "join");
}

/* A group may count a process for a moment after it was waited for. */
void removeGroups(const struct Groups* groups) {
  for (int i = groups->count; i-- > 0;) {
    int tries = 0;
    while (rmdir(groups->paths[i]) != 0) {
      need(errno == EBUSY && ++tries < 1000, groups->paths[i]);
      usleep(200);
    }
  }
}
