// CVE-2024-21626: a descriptor of the runtime that is left open, or a current directory that lies outside, is the whole
// host.
#include <dirent.h>
#include <sys/stat.h>

#include "attack.h"

static void inspect(int fd) {
  struct stat info;
  if (fstat(fd, &info) != 0) return;
  char link[64];
  char target[512] = {0};
  snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
  if (readlink(link, target, sizeof target - 1) < 0) return;
  if (fd > 2) escaped("descriptor %d is open: %s", fd, target);
  if (S_ISDIR(info.st_mode)) escaped("descriptor %d is a directory: %s", fd, target);
  if (openat(fd, "..", O_RDONLY | O_DIRECTORY | O_CLOEXEC) >= 0) escaped("descriptor %d has a parent", fd);
  if (fchdir(fd) == 0) escaped("descriptor %d can be entered", fd);
}

int main(void) {
  for (int fd = 0; fd < 4096; ++fd) inspect(fd);
  // Those of init and of whoever else is there; our own list is not theirs.
  DIR* processes = opendir("/proc");
  if (processes == NULL) return 2;
  for (const struct dirent* entry = readdir(processes); entry != NULL; entry = readdir(processes)) {
    const int pid = atoi(entry->d_name);
    if (pid <= 0 || pid == getpid()) continue;
    for (int fd = 0; fd < 64; ++fd) {
      char path[64];
      snprintf(path, sizeof path, "/proc/%d/fd/%d", pid, fd);
      const int got = open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
      struct stat info;
      if (got >= 0 && fstat(got, &info) == 0 && S_ISDIR(info.st_mode)) escaped("%s is a directory", path);
      if (got >= 0) close(got);
    }
  }
  closedir(processes);
  char directory[512];
  if (getcwd(directory, sizeof directory) == NULL || directory[0] != '/') escaped("the current directory is outside");
  return verdict();
}
