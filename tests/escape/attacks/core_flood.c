// Crashes, one after the other. Where core_pattern names a program, the kernel starts it as root of the host, outside
// of every group and limit of the container: each crash is work that nobody pays.
#include <sys/mman.h>
#include <sys/syscall.h>

#include "attack.h"

static void abortIt(void) {
  abort();
}

static void writeToNothing(void) {
  volatile char* page = mmap(NULL, 4096, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  *page = 1;
}

static void callWhatIsKilled(void) {
  syscall(0x40000000L);
}

int main(void) {
  static void (*const kCrashes[])(void) = {abortIt, writeToNothing, callWhatIsKilled};
  for (int i = 0; i < 30; ++i) {
    const int status = in_child(kCrashes[i % 3]);
    if (status == -1 || !WIFSIGNALED(status)) return 2;
    if (WCOREDUMP(status)) escaped("signal %d left a core", WTERMSIG(status));
  }
  return verdict();
}
