// Open files in as many processes as there may be, of several kinds.
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/socket.h>

#include "attack.h"

static long take(void) {
  long got = 0;
  for (;;) {
    const int fd = got % 4 == 0   ? eventfd(0, 0)
                   : got % 4 == 1 ? socket(AF_INET, SOCK_DGRAM, 0)
                   : got % 4 == 2 ? memfd_create("flood", 0)
                                  : open("/dev/zero", O_RDONLY);
    if (fd < 0) return got;
    ++got;
  }
}

int main(int count, char** arguments) {
  if (count < 2) return 2;
  const long bound = atol(arguments[1]);  // of one process
  long children = 0;
  for (; children < 1000; ++children) {
    const pid_t child = fork();
    if (child < 0) break;
    if (child == 0) {
      signal(SIGTERM, SIG_DFL);
      take();
      for (;;) pause();
    }
  }
  const long got = take();
  if (got > bound) escaped("%ld descriptors in one process", got);
  usleep(300000);
  errno = EMFILE;
  return hold(got * (children + 1), "descriptors");
}
