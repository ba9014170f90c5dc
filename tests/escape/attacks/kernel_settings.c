// Every file of /proc that belongs to no process: none may be opened for writing, by whatever name or user.
#include <dirent.h>
#include <sys/stat.h>

#include "attack.h"

static int tried;

static void visit(const char* directory, int depth) {
  DIR* list = opendir(directory);
  if (list == NULL) return;
  for (const struct dirent* entry = readdir(list); entry != NULL; entry = readdir(list)) {
    if (entry->d_name[0] == '.' || (depth == 0 && entry->d_name[0] >= '0' && entry->d_name[0] <= '9')) continue;
    char path[1024];
    if (snprintf(path, sizeof path, "%s/%s", directory, entry->d_name) >= (int)sizeof path) continue;
    struct stat info;
    if (lstat(path, &info) != 0 || S_ISLNK(info.st_mode)) continue;  // self, thread-self, net, mounts
    if (S_ISDIR(info.st_mode)) {
      visit(path, depth + 1);
    } else if (S_ISREG(info.st_mode)) {
      ++tried;
      const int fd = open(path, O_WRONLY | O_NONBLOCK | O_CLOEXEC);
      if (fd >= 0) {
        escaped("%s opens for writing", path);
        close(fd);
      }
    }
  }
  closedir(list);
}

int main(void) {
  visit("/proc", 0);
  if (tried < 50) escaped("only %d files were tried: the attack itself is broken", tried);
  refused_write("/proc/sysrq-trigger", "h");
  refused_write("/proc/sys/vm/drop_caches", "1");
  refused_write("/proc/sys/kernel/hostname", "escaped");
  refused_write("/proc/sys/net/ipv4/ip_forward", "1");
  refused_write("/proc/sys/user/max_user_namespaces", "100000");
  refused(chmod("/proc/sys/kernel/core_pattern", 0666), "chmod core_pattern");
  return verdict();
}
