// Pipes, each made as large as allowed and filled: pages that are counted a user and charged to a group.
#include "attack.h"

int main(int count, char** arguments) {
  if (count < 2) return 2;
  const long bound = atol(arguments[1]);  // bytes
  static char block[65536];
  long bytes = 0;
  for (;;) {
    int ends[2];
    if (pipe2(ends, O_NONBLOCK) != 0) break;
    (void)fcntl(ends[0], F_SETPIPE_SZ, 1 << 20);
    for (ssize_t wrote = 1; wrote > 0;) {
      wrote = write(ends[1], block, sizeof block);
      if (wrote > 0) bytes += wrote;
    }
  }
  if (bytes > bound) escaped("%ld bytes in pipes", bytes);
  return hold(bytes, "bytes in pipes");
}
