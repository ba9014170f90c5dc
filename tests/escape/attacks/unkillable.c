// Processes that do not want to go, by the way that the argument names. Says "staying" once they are settled.
#include <sys/prctl.h>
#include <sys/syscall.h>

#include "attack.h"

static void deaf(void) {
  sigset_t all;
  sigfillset(&all);
  sigprocmask(SIG_BLOCK, &all, NULL);
  for (int number = 1; number < 65; ++number) signal(number, SIG_IGN);
}

static void forever(void) {
  for (;;) pause();
}

// Its parent waits in the kernel, uninterruptibly, until this child execs or ends.
static void waitInVfork(void) {
  const long child = syscall(SYS_vfork);
  if (child == 0) {
    deaf();
    for (;;) syscall(SYS_pause);
  }
}

// Each of two watches the other and makes it again.
static void respawn(void) {
  for (;;) {
    int ends[2];
    if (pipe(ends) != 0) return;
    const pid_t child = fork();
    if (child > 0) return;
    if (child == 0) {
      deaf();
      setsid();
      close(ends[1]);
      char byte = 0;
      (void)!read(ends[0], &byte, 1);  // end-of-file: the parent is gone
      close(ends[0]);
    }
  }
}

int main(int count, char** arguments) {
  if (count < 2) return 2;
  const char* way = arguments[1];
  deaf();
  for (int i = 0; i < 4; ++i) {
    fflush(stdout);
    const pid_t child = fork();
    if (child != 0) continue;
    setsid();
    if (strcmp(way, "ignores") == 0) forever();
    if (strcmp(way, "stopped") == 0) {
      kill(getpid(), SIGSTOP);
      forever();
    }
    if (strcmp(way, "vfork") == 0) waitInVfork();
    if (strcmp(way, "respawns") == 0) respawn();
    if (strcmp(way, "orphans") == 0) {
      if (fork() != 0) _exit(0);
      forever();
    }
    if (strcmp(way, "zombies") == 0) {
      for (int made = 0; made < 5; ++made) {
        if (fork() == 0) _exit(0);
      }
      forever();
    }
    if (strcmp(way, "busy") == 0) {
      for (;;) {
      }
    }
    forever();
  }
  usleep(200000);
  printf("staying\n");
  fflush(stdout);
  if (strcmp(way, "stopped") == 0) kill(getpid(), SIGSTOP);
  forever();
}
