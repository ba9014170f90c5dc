// Forks without end in every process, each gone as soon as it has forked: never the same ones when somebody looks.
#include "attack.h"

int main(void) {
  printf("bombing\n");
  fflush(stdout);
  for (;;) {
    const pid_t child = fork();
    if (child > 0) _exit(0);
  }
}
