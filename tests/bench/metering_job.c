// The job of bench_metering, in a container: burns CPU, sleeps for the rest of its life, and says what it has spent.
//
//   bench_metering_job LIFE-MILLISECONDS CPU-MILLISECONDS     prints "cpu NANOSECONDS", its own, at its end
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

static uint64_t nanos(clockid_t clock) {
  struct timespec now;
  clock_gettime(clock, &now);
  return (uint64_t)now.tv_sec * 1000000000U + (uint64_t)now.tv_nsec;
}

int main(int count, char** words) {
  if (count != 3) return 2;
  const uint64_t end = nanos(CLOCK_MONOTONIC) + strtoull(words[1], NULL, 10) * 1000000U;
  const uint64_t cpu = strtoull(words[2], NULL, 10) * 1000000U;
  while (nanos(CLOCK_PROCESS_CPUTIME_ID) < cpu) {
  }
  const uint64_t now = nanos(CLOCK_MONOTONIC);
  if (now < end) {
    const struct timespec rest = {(time_t)((end - now) / 1000000000U), (long)((end - now) % 1000000000U)};
    nanosleep(&rest, NULL);
  }
  printf("cpu %llu\n", (unsigned long long)nanos(CLOCK_PROCESS_CPUTIME_ID));
  return 0;
}
