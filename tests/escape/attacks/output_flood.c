// Writes without end to whoever keeps its log, faster than anybody reads.
#include "attack.h"

int main(void) {
  static char lines[65536];
  memset(lines, 'l', sizeof lines);
  for (size_t i = 79; i < sizeof lines; i += 80) lines[i] = '\n';
  for (int fd = 1;; fd = fd == 1 ? 2 : 1) {
    if (write(fd, lines, sizeof lines) < 0 && errno != EAGAIN) return 0;
  }
}
