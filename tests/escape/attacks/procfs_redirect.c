// CVE-2025-52881: writes that the runtime means for /proc/self/attr or /proc/sys land in files of the image's choice,
// because /proc is not procfs when they happen. What the image planted must be hidden and untouched.
#include <linux/magic.h>
#include <sys/stat.h>
#include <sys/vfs.h>

#include "attack.h"

int main(void) {
  static const char* const kProc[] = {"/proc", "/proc/self/attr", "/proc/thread-self", "/proc/sys", "/proc/sys/kernel"};
  for (size_t i = 0; i < sizeof kProc / sizeof *kProc; ++i) {
    struct statfs info;
    if (statfs(kProc[i], &info) != 0) {
      escaped("%s: %s", kProc[i], strerror(errno));
    } else if (info.f_type != PROC_SUPER_MAGIC) {
      escaped("%s is not of procfs but %lx", kProc[i], (unsigned long)info.f_type);
    }
  }
  refused(rename("/proc", "/proc-away"), "moving /proc away");
  refused(rename("/proc/self/attr", "/tmp/attr"), "moving attr away");
  refused(symlink("/tmp", "/proc/attr"), "a link in /proc");
  refused(mkdir("/proc/1/attr/mine", 0755), "a directory in /proc");
  // Labels and maps of others.
  refused(write_file("/proc/1/attr/current", "unconfined"), "the label of init");
  refused(write_file("/proc/1/attr/exec", "unconfined"), "the next label of init");
  refused(write_file("/proc/1/uid_map", "0 0 1"), "the ids of init");
  refused(write_file("/proc/self/oom_score_adj", "-1000"), "an oom score below the one given");
  return verdict();
}
