// Inotify instances and watches are counted a user; the users of a container must not be counted as the host's.
#include <sys/inotify.h>
#include <sys/stat.h>

#include "attack.h"

int main(void) {
  long instances = 0;
  int first = -1;
  for (;;) {
    const int fd = inotify_init1(IN_CLOEXEC);
    if (fd < 0) break;
    if (first < 0) first = fd;
    ++instances;
  }
  const int code = errno;
  long watches = 0;
  for (; watches < 500; ++watches) {
    char path[64];
    snprintf(path, sizeof path, "/tmp/%ld", watches);
    if (mkdir(path, 0755) != 0 || inotify_add_watch(first, path, IN_ALL_EVENTS) < 0) break;
  }
  printf("%ld watches\n", watches);
  // The rest of the user's instances, from children with descriptors of their own.
  for (int i = 0; i < 20; ++i) {
    const pid_t child = fork();
    if (child != 0) continue;
    signal(SIGTERM, SIG_DFL);
    close_range(3, ~0U, 0);
    while (inotify_init1(IN_CLOEXEC) >= 0) {
    }
    for (;;) pause();
  }
  usleep(300000);
  errno = code;
  return hold(instances, "inotify instances");
}
