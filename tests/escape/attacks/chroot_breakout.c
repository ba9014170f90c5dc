// A build may chroot. The old way out of one leads no further than the container's own root.
#include <sys/stat.h>

#include "attack.h"

int main(int count, char** arguments) {
  if (count < 2) return 2;  // what the host has and the container has not
  struct stat before;
  struct stat after;
  if (stat("/", &before) != 0 || mkdir("/tmp/jail", 0755) != 0) return 2;
  const int here = open(".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (chroot("/tmp/jail") != 0) {
    refused(-1, "chroot");
    return verdict();
  }
  if (fchdir(here) != 0) return 2;
  for (int i = 0; i < 64; ++i) (void)!chdir("..");
  if (chroot(".") != 0 || stat("/", &after) != 0) return 2;
  if (before.st_ino != after.st_ino || before.st_dev != after.st_dev) escaped("another root");
  refused(access(arguments[1], F_OK), arguments[1]);
  return verdict();
}
