#define _GNU_SOURCE
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "tests/bench/floor/steps.h"

static const char* const kDevices[] = {"null", "zero", "full", "random", "urandom", "tty"};
/* Of /proc: what stays as the kernel has it, what gets a text of the container's own, and settings that are hidden. */
static const char* const kKept[] = {"filesystems", "locks", "mounts", "net", "self", "sys", "sysvipc", "thread-self"};
static const char* const kOwn[] = {"cpuinfo",
                                   "diskstats",
                                   "loadavg",
                                   "meminfo",
                                   "stat",
                                   "swaps",
                                   "uptime",
                                   "version",
                                   "vmstat",
                                   "sys/fs/file-nr",
                                   "sys/kernel/core_pattern",
                                   "sys/kernel/random/boot_id"};
static const char* const kSettings[] = {"sys/fs/dentry-state", "sys/fs/inode-nr", "sys/fs/inode-state",
                                        "sys/kernel/pty/nr"};

#define COUNT(list) (sizeof(list) / sizeof((list)[0]))

struct Tree makeTree(const char* layer, const char* userNamespace) {
  struct Tree tree;
  const int space = open(userNamespace, O_RDONLY | O_CLOEXEC);
  need(space >= 0, userNamespace);
  tree.lower = open_tree(AT_FDCWD, layer, OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC);
  struct mount_attr attributes = {
      .attr_set = MOUNT_ATTR_RDONLY | MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV | MOUNT_ATTR_IDMAP,
      .userns_fd = (unsigned)space};
  need(tree.lower >= 0 && mount_setattr(tree.lower, "", AT_EMPTY_PATH, &attributes, sizeof attributes) == 0, layer);
  close(space);

  const int context = fsopen("tmpfs", FSOPEN_CLOEXEC);
  need(context >= 0 && fsconfig(context, FSCONFIG_SET_STRING, "size", "16m", 0) == 0 &&
           fsconfig(context, FSCONFIG_SET_STRING, "nr_inodes", "1000", 0) == 0 &&
           fsconfig(context, FSCONFIG_SET_STRING, "mode", "0700", 0) == 0 &&
           fsconfig(context, FSCONFIG_SET_STRING, "uid", "100000", 0) == 0 &&
           fsconfig(context, FSCONFIG_SET_STRING, "gid", "100000", 0) == 0 &&
           fsconfig(context, FSCONFIG_CMD_CREATE, NULL, NULL, 0) == 0,
       "upper");
  tree.upper = fsmount(context, FSMOUNT_CLOEXEC, MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV);
  need(tree.upper >= 0 && mkdirat(tree.upper, "upper", 0755) == 0 && mkdirat(tree.upper, "work", 0755) == 0 &&
           fchownat(tree.upper, "upper", hostUid, hostUid, 0) == 0 &&
           fchownat(tree.upper, "work", hostUid, hostUid, 0) == 0,
       "upper");
  close(context);
  return tree;
}

static void mountNew(const char* type, const char* path, unsigned long flags, const char* options) {
  need(mount(type, path, type, flags, options) == 0, path);
}

static void makeDevices(void) {
  char from[64];
  char to[64];
  mountNew("tmpfs", "root/dev", MS_NOSUID | MS_NOEXEC, "mode=0755,size=64k,nr_inodes=64");
  for (size_t i = 0; i < COUNT(kDevices); i++) {
    snprintf(from, sizeof from, "/dev/%s", kDevices[i]);
    snprintf(to, sizeof to, "root/dev/%s", kDevices[i]);
    const int node = open(to, O_WRONLY | O_CREAT | O_CLOEXEC, 0666);
    need(node >= 0 && mount(from, to, NULL, MS_BIND, NULL) == 0, to);
    close(node);
  }
  need(symlink("/proc/self/fd", "root/dev/fd") == 0 && symlink("/proc/self/fd/0", "root/dev/stdin") == 0 &&
           symlink("/proc/self/fd/1", "root/dev/stdout") == 0 && symlink("/proc/self/fd/2", "root/dev/stderr") == 0 &&
           symlink("pts/ptmx", "root/dev/ptmx") == 0,
       "links");
  need(mkdir("root/dev/pts", 0755) == 0 && mkdir("root/dev/shm", 0755) == 0, "mkdir");
  mountNew("devpts", "root/dev/pts", MS_NOSUID | MS_NOEXEC, "newinstance,ptmxmode=0666,mode=0620,gid=5");
  mountNew("tmpfs", "root/dev/shm", MS_NOSUID | MS_NODEV | MS_NOEXEC, "mode=1777,size=64m,nr_inodes=4096");
}

static int has(const char* const* names, size_t count, const char* name) {
  for (size_t i = 0; i < count; i++) {
    if (strcmp(names[i], name) == 0) return 1;
  }
  return 0;
}

/* Puts `with` over the entry, if it is there. */
static void cover(const char* name, const char* with) {
  char path[128];
  snprintf(path, sizeof path, "root/proc/%s", name);
  const int mounted = open_tree(AT_FDCWD, with, OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC);
  need(mounted >= 0, with);
  need(move_mount(mounted, "", AT_FDCWD, path, MOVE_MOUNT_F_EMPTY_PATH) == 0 || errno == ENOENT, path);
  close(mounted);
}

static void cloneReadOnly(const char* from, const char* to) {
  struct mount_attr attributes = {.attr_set =
                                      MOUNT_ATTR_RDONLY | MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV | MOUNT_ATTR_NOEXEC};
  const int same = open_tree(AT_FDCWD, from, OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC);
  need(same >= 0 && mount_setattr(same, "", AT_EMPTY_PATH, &attributes, sizeof attributes) == 0 &&
           move_mount(same, "", AT_FDCWD, to, MOVE_MOUNT_F_EMPTY_PATH) == 0,
       to);
  close(same);
}

static void writeName(const char* path, const char* text) {
  const int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
  need(fd >= 0 && write(fd, text, strlen(text)) == (ssize_t)strlen(text), path);
  close(fd);
}

/* An allow-list, as Cloister's: whatever else is at the top of /proc is covered. */
static void narrowProc(void) {
  char own[16];
  char text[600];
  memset(text, '0', sizeof text);
  text[sizeof text - 1] = '\0';
  need(mkdir("own", 0755) == 0, "own");
  writeName("own/none", "");
  for (size_t i = 0; i < COUNT(kOwn); i++) {
    snprintf(own, sizeof own, "own/%zu", i);
    writeName(own, strchr(kOwn[i], '/') == NULL ? text : "own\n");
  }
  cloneReadOnly("own", "own");
  cloneReadOnly("root/proc/sys", "root/proc/sys");
  DIR* entries = opendir("root/proc");
  need(entries != NULL, "proc");
  for (struct dirent* entry = readdir(entries); entry != NULL; entry = readdir(entries)) {
    const char* name = entry->d_name;
    if (name[0] == '.' || (name[0] >= '0' && name[0] <= '9') || has(kKept, COUNT(kKept), name) ||
        has(kOwn, COUNT(kOwn), name)) {
      continue;
    }
    cover(name, entry->d_type == DT_DIR ? "root/sys" : "own/none");
  }
  closedir(entries);
  for (size_t i = 0; i < COUNT(kSettings); i++) cover(kSettings[i], "own/none");
  for (size_t i = 0; i < COUNT(kOwn); i++) {
    snprintf(own, sizeof own, "own/%zu", i);
    cover(kOwn[i], own);
  }
}

void enterTree(const struct Tree* tree) {
  need(mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) == 0, "private");
  mountNew("tmpfs", "/mnt", MS_NOSUID | MS_NODEV, "mode=0700,size=64k");
  need(chdir("/mnt") == 0 && mkdir("lower", 0755) == 0 && mkdir("upper", 0755) == 0 && mkdir("root", 0755) == 0,
       "bench");
  need(move_mount(tree->lower, "", AT_FDCWD, "lower", MOVE_MOUNT_F_EMPTY_PATH) == 0 &&
           move_mount(tree->upper, "", AT_FDCWD, "upper", MOVE_MOUNT_F_EMPTY_PATH) == 0,
       "move_mount");
  mountNew("overlay", "root", MS_NOSUID | MS_NODEV, "lowerdir=lower,upperdir=upper/upper,workdir=upper/work,userxattr");
  mountNew("proc", "root/proc", MS_NOSUID | MS_NODEV | MS_NOEXEC, NULL);
  writeFile("root/proc/sys/user/max_user_namespaces", "0");
  makeDevices();
  mountNew("tmpfs", "root/sys", MS_NOSUID | MS_NODEV | MS_NOEXEC | MS_RDONLY, "mode=0555,size=4k,nr_inodes=2");
  narrowProc();
  writeName("root/etc/hostname", "bench\n");
  writeName("root/etc/hosts", "127.0.0.1 localhost\n");
  writeName("root/etc/resolv.conf", "nameserver 10.0.0.1\n");
  need(sethostname("bench", strlen("bench")) == 0, "sethostname");
  need(chdir("root") == 0 && syscall(SYS_pivot_root, ".", ".") == 0 && umount2(".", MNT_DETACH) == 0 && chdir("/") == 0,
       "pivot_root");
}
