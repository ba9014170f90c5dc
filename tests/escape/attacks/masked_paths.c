// CVE-2025-31133: masks made from a /dev/null that the image turned into a link to something worth writing.
#include <dirent.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#include "attack.h"

static void expectNothing(const char* path) {
  struct stat info;
  if (stat(path, &info) != 0) {
    if (errno != ENOENT) printf("refused: %s: %s\n", path, strerror(errno));
    return;  // this kernel lacks it
  }
  if (S_ISDIR(info.st_mode)) {
    DIR* list = opendir(path);
    int entries = 0;
    while (list != NULL && readdir(list) != NULL) ++entries;
    if (list != NULL) closedir(list);
    if (entries > 2) escaped("%s has entries", path);
    return;
  }
  const int null = S_ISCHR(info.st_mode) && info.st_rdev == makedev(1, 3);
  if (!null && (!S_ISREG(info.st_mode) || open(path, O_WRONLY | O_CLOEXEC) >= 0)) {
    escaped("%s is mode %o of device %x", path, info.st_mode, (unsigned)info.st_rdev);
    return;
  }
  char byte = 0;
  const int fd = open(path, O_RDONLY | O_CLOEXEC);
  if (fd >= 0 && read(fd, &byte, 1) != 0) escaped("%s gives bytes", path);
  if (fd >= 0) close(fd);
}

int main(void) {
  static const char* const kMasked[] = {
      "/dev/null",         "/proc/kcore",      "/proc/keys",         "/proc/key-users",   "/proc/timer_list",
      "/proc/sched_debug", "/proc/kmsg",       "/proc/kallsyms",     "/proc/modules",     "/proc/slabinfo",
      "/proc/interrupts",  "/proc/kpagecount", "/proc/kpageflags",   "/proc/kpagecgroup", "/proc/config.gz",
      "/proc/acpi",        "/proc/scsi",       "/proc/latency_stats"};
  for (size_t i = 0; i < sizeof kMasked / sizeof *kMasked; ++i) expectNothing(kMasked[i]);
  // The planted link's target, which a mask through it would have made writable.
  refused_write("/proc/sys/kernel/core_pattern", "|/bin/touch /tmp/cloister-escape");
  refused(unlink("/proc/kcore"), "unlink a mask");
  refused(rename("/dev/null", "/dev/other"), "rename /dev/null");
  refused(unlink("/dev/null"), "unlink /dev/null");
  return verdict();
}
