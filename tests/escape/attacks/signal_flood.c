// Queued signals and timers are counted a user, and the kernel counts them for the user above as well.
#include <time.h>

#include "attack.h"

int main(int count, char** arguments) {
  if (count < 2) return 2;
  const long bound = atol(arguments[1]);
  sigset_t all;
  sigfillset(&all);
  sigprocmask(SIG_BLOCK, &all, NULL);
  // sigqueue(3) is not for apps; each timer is a queued signal that was set aside, and is as good.
  long got = 0;
  struct sigevent event = {.sigev_notify = SIGEV_SIGNAL, .sigev_signo = SIGRTMIN};
  timer_t timer;
  while (got <= bound && timer_create(CLOCK_MONOTONIC, &event, &timer) == 0) ++got;
  const int code = errno;
  const union sigval value = {.sival_int = 1};
  while (got <= bound && sigqueue(getpid(), SIGRTMIN + 1, value) == 0) ++got;
  if (got > bound) escaped("%ld signals were queued", got);
  errno = code;
  return hold(got, "queued signals");
}
