// Stops every process that enters the container the moment it may: whoever waits for one of them to go on waits for the
// tenant's mercy.
#include "attack.h"

int main(void) {
  printf("stopping\n");
  fflush(stdout);
  for (;;) kill(-1, SIGSTOP);
}
