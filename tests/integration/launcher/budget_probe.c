/* Takes as much of one resource as the kernel gives, prints how much, and with a second argument keeps it until it is
 * killed. Runs inside of a container: static, without arguments that need a shell. */
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/inotify.h>
#include <sys/ipc.h>
#include <sys/mman.h>
#include <sys/msg.h>
#include <sys/sem.h>
#include <sys/shm.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#define MOST 100000L

static long inotify_instances(void) {
  long count = 0;
  while (count < MOST && inotify_init1(IN_CLOEXEC) >= 0) ++count;
  return count;
}

/* Each holds a queued signal's room from the start. */
static long timers(void) {
  struct sigevent event = {0};
  event.sigev_notify = SIGEV_SIGNAL;
  event.sigev_signo = SIGRTMIN;
  long count = 0;
  timer_t timer;
  while (count < MOST && timer_create(CLOCK_MONOTONIC, &event, &timer) == 0) ++count;
  return count;
}

/* Pipes of the full 16 pages; beyond the budget of a user the kernel makes them of one or two. */
static long full_pipes(void) {
  long count = 0;
  int ends[2];
  while (count < MOST && pipe2(ends, O_CLOEXEC) == 0 && fcntl(ends[0], F_GETPIPE_SZ) == 65536) ++count;
  return count;
}

static long terminals(void) {
  long count = 0;
  while (count < MOST && open("/dev/ptmx", O_RDWR | O_NOCTTY | O_CLOEXEC) >= 0) ++count;
  return count;
}

static long descriptors(void) {
  long count = 0;
  while (count < MOST && eventfd(0, EFD_CLOEXEC) >= 0) ++count;
  return count;
}

static long segments(void) {
  long count = 0;
  while (count < MOST && shmget(IPC_PRIVATE, 4096, 0600) >= 0) ++count;
  return count;
}

static long semaphores(void) {
  long count = 0;
  while (count < MOST && semget(IPC_PRIVATE, 1, 0600) >= 0) ++count;
  return count;
}

/* Each of the default 10 messages of 8 KiB. */
static long queues(void) {
  long count = 0;
  char name[32];
  for (; count < MOST; ++count) {
    snprintf(name, sizeof name, "queue%ld", count);
    if (syscall(SYS_mq_open, name, O_RDWR | O_CREAT, 0600, NULL) < 0) break;
  }
  return count;
}

/* Of one queue's bytes. */
static long messages(void) {
  struct {
    long type;
    char text[1024];
  } message = {.type = 1};
  long count = 0;
  const int queue = msgget(IPC_PRIVATE, 0600);
  while (count < MOST && msgsnd(queue, &message, sizeof message.text, IPC_NOWAIT) == 0) ++count;
  return count;
}

static long pinned_kilobytes(void) {
  long count = 0;
  char* memory = mmap(NULL, 16UL << 20U, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  while (count < 16384 && mlock(memory + count * 1024, 4096) == 0) count += 4;
  return count;
}

static long shared_memory_megabytes(void) {
  const int file = open("/dev/shm/flood", O_RDWR | O_CREAT | O_CLOEXEC, 0600);
  static char block[1 << 20];
  long count = 0;
  while (count < 1024 && write(file, block, sizeof block) == (ssize_t)sizeof block) ++count;
  return count;
}

static long user_namespaces(void) {
  return syscall(SYS_unshare, CLONE_NEWUSER) == 0;
}

static const struct {
  const char* name;
  long (*take)(void);
} kResources[] = {{"inotify", inotify_instances},
                  {"timers", timers},
                  {"pipes", full_pipes},
                  {"terminals", terminals},
                  {"descriptors", descriptors},
                  {"segments", segments},
                  {"queues", queues},
                  {"messages", messages},
                  {"semaphores", semaphores},
                  {"pinned", pinned_kilobytes},
                  {"shm", shared_memory_megabytes},
                  {"namespaces", user_namespaces}};

int main(int argc, char** argv) {
  for (size_t i = 0; i < sizeof kResources / sizeof *kResources; ++i) {
    if (argc < 2 || strcmp(argv[1], kResources[i].name) != 0) continue;
    printf("%ld\n", kResources[i].take());
    fflush(stdout);
    if (argc > 2) pause();
    return 0;
  }
  return 2;
}
