// CVE-2022-0185: a heap overflow behind fsconfig(2), and every other way to mount, unmount or move a file tree.
#include <linux/mount.h>
#include <sys/syscall.h>

#include "attack.h"

#define BIND 4096UL    // MS_BIND
#define REMOUNT 32UL   // MS_REMOUNT
#define NO_FOLLOW 8UL  // UMOUNT_NOFOLLOW

static void overflow(const char* type) {
  char what[64];
  snprintf(what, sizeof what, "fsopen %s", type);
  const int context = (int)syscall(SYS_fsopen, type, FSOPEN_CLOEXEC);
  refused(context, what);
  if (context < 0) return;
  // Each "\0=AAAA..." adds a comma that the check of the remaining length forgot.
  char value[256];
  memset(value, 'A', sizeof value - 1);
  value[sizeof value - 1] = '\0';
  for (int i = 0; i < 64; ++i) {
    if (syscall(SYS_fsconfig, context, FSCONFIG_SET_STRING, "", value, 0) != 0) break;
  }
}

int main(void) {
  static const char* const kTypes[] = {"ext4", "tmpfs", "proc", "sysfs", "overlay", "cgroup", "cgroup2", "bpf", "fuse"};
  for (size_t i = 0; i < sizeof kTypes / sizeof *kTypes; ++i) {
    overflow(kTypes[i]);
    char what[64];
    snprintf(what, sizeof what, "mount %s", kTypes[i]);
    refused(syscall(SYS_mount, "none", "/tmp", kTypes[i], 0UL, NULL), what);
  }
  refused(syscall(SYS_fsconfig, 0, FSCONFIG_CMD_CREATE, NULL, NULL, 0), "fsconfig");
  refused(syscall(SYS_fspick, AT_FDCWD, "/proc/sys", FSPICK_CLOEXEC), "fspick");
  refused(syscall(SYS_open_tree, AT_FDCWD, "/proc/sys", OPEN_TREE_CLONE), "open_tree clone");
  refused(syscall(SYS_open_tree, AT_FDCWD, "/", 0), "open_tree");
  refused(syscall(SYS_move_mount, AT_FDCWD, "/proc", AT_FDCWD, "/tmp", 0), "move_mount");
  struct mount_attr writable = {.attr_clr = MOUNT_ATTR_RDONLY};
  refused(syscall(SYS_mount_setattr, AT_FDCWD, "/proc/sys", 0, &writable, sizeof writable), "mount_setattr");
  refused(syscall(SYS_mount, "/proc", "/tmp", NULL, BIND, NULL), "bind mount");
  refused(syscall(SYS_mount, NULL, "/proc/sys", NULL, REMOUNT | BIND, NULL), "remount writable");
  refused(syscall(SYS_umount2, "/proc/sys", NO_FOLLOW), "umount /proc/sys");
  refused(syscall(SYS_umount2, "/proc/kcore", NO_FOLLOW), "umount a mask");
  refused(syscall(SYS_umount2, "/sys", 0), "umount /sys");
  refused(syscall(SYS_pivot_root, ".", "."), "pivot_root");
  return verdict();
}
