// As many processes as can be had, and threads besides: what is counted is the container's, not the host's.
#include <pthread.h>

#include "attack.h"

static void* sleeper(void* unused) {
  pause();
  return unused;
}

int main(int count, char** arguments) {
  if (count < 2) return 2;
  const long bound = atol(arguments[1]);
  long got = 0;
  for (; got <= bound; ++got) {
    const pid_t child = fork();
    if (child < 0) break;
    if (child == 0) {
      signal(SIGTERM, SIG_DFL);
      for (;;) pause();
    }
  }
  // Not to be woken in their stead.
  sigset_t end;
  sigemptyset(&end);
  sigaddset(&end, SIGTERM);
  sigprocmask(SIG_BLOCK, &end, NULL);
  pthread_t thread;
  while (got <= bound && pthread_create(&thread, NULL, sleeper, NULL) == 0) ++got;
  if (got > bound) escaped("%ld processes", got);
  return hold(got, "processes");
}
