// Pseudo-terminals are one count for the whole host, whatever the instance of devpts.
#include "attack.h"

int main(int count, char** arguments) {
  if (count < 2) return 2;
  const long bound = atol(arguments[1]);
  long got = 0;
  int code = 0;
  for (int i = 0; i < 16 && got <= bound; ++i) {
    int ends[2];
    if (pipe(ends) != 0) return 2;
    fflush(stdout);
    const pid_t child = fork();
    if (child < 0) break;
    if (child == 0) {
      signal(SIGTERM, SIG_DFL);
      long mine = 0;
      while (open("/dev/ptmx", O_RDWR | O_NOCTTY | O_CLOEXEC) >= 0) ++mine;
      const long report[2] = {mine, errno};
      if (write(ends[1], report, sizeof report) < 0) _exit(1);
      for (;;) pause();
    }
    close(ends[1]);
    long report[2] = {0, 0};
    if (read(ends[0], report, sizeof report) != (ssize_t)sizeof report) break;
    close(ends[0]);
    got += report[0];
    code = (int)report[1];
  }
  if (got > bound) escaped("%ld pseudo-terminals", got);
  errno = code;
  return hold(got, "pseudo-terminals");
}
