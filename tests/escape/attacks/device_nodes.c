// Device nodes that an image brings or that a program makes: the host's disks and memory behind a name of one's own.
#include <dirent.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#include "attack.h"

int main(void) {
  // The driver's layer has them under /attack/nodes.
  DIR* list = opendir("/attack/nodes");
  if (list == NULL) return 2;
  int seen = 0;
  for (const struct dirent* entry = readdir(list); entry != NULL; entry = readdir(list)) {
    if (entry->d_name[0] == '.') continue;
    char path[300];
    snprintf(path, sizeof path, "/attack/nodes/%s", entry->d_name);
    struct stat info;
    if (lstat(path, &info) != 0 || !(S_ISBLK(info.st_mode) || S_ISCHR(info.st_mode))) return 2;
    ++seen;
    refused(open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC), path);
    refused(open(path, O_WRONLY | O_NONBLOCK | O_CLOEXEC), path);
  }
  closedir(list);
  if (seen == 0) return 2;
  static const mode_t kTypes[] = {S_IFBLK | 0666, S_IFCHR | 0666};
  static const char* const kPlaces[] = {"/tmp/node", "/app/node", "/dev/node", "/dev/shm/node"};
  for (size_t i = 0; i < sizeof kPlaces / sizeof *kPlaces; ++i) {
    for (size_t type = 0; type < 2; ++type) {
      refused(mknod(kPlaces[i], kTypes[type], makedev(1, 1)), kPlaces[i]);
      refused(mknodat(AT_FDCWD, kPlaces[i], kTypes[type], makedev(7, 0)), kPlaces[i]);
    }
  }
  static const char* const kHost[] = {"/dev/mem",
                                      "/dev/kmem",
                                      "/dev/kmsg",
                                      "/dev/port",
                                      "/dev/sda",
                                      "/dev/vda",
                                      "/dev/fuse",
                                      "/dev/kvm",
                                      "/dev/loop-control",
                                      "/dev/net/tun",
                                      "/dev/tty0",
                                      "/dev/console",
                                      "/dev/mapper/control",
                                      "/dev/uinput"};
  for (size_t i = 0; i < sizeof kHost / sizeof *kHost; ++i) refused(open(kHost[i], O_RDONLY | O_NONBLOCK), kHost[i]);
  refused(chmod("/dev/null", 0600), "chmod of the host's null device");
  refused(chown("/dev/null", 0, 0), "chown of the host's null device");
  return verdict();
}
