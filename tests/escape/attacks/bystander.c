// No attack: an ordinary program next to one, of another tenant or of the host. Does a little of everything that is
// counted or limited somewhere, and says what it did not get.
#include <netinet/in.h>
#include <sys/file.h>
#include <sys/inotify.h>
#include <sys/ipc.h>
#include <sys/mman.h>
#include <sys/shm.h>
#include <sys/socket.h>
#include <time.h>

#include "attack.h"

static void need(long result, const char* what) {
  if (result < 0) escaped("without %s: %s", what, strerror(errno));
}

static void nothing(void) {}

int main(void) {
  for (int i = 0; i < 4; ++i) {
    if (in_child(nothing) != 0) escaped("without a process: %s", strerror(errno));
  }
  int ends[2];
  need(pipe2(ends, O_CLOEXEC), "a pipe");
  need(fcntl(ends[0], F_SETPIPE_SZ, 128 * 1024), "a larger pipe");
  for (int i = 0; i < 16; ++i) need(open("/dev/null", O_RDONLY | O_CLOEXEC), "a descriptor");
  const int watch = inotify_init1(IN_CLOEXEC);
  need(watch, "an inotify instance");
  need(inotify_add_watch(watch, "/tmp", IN_CREATE), "an inotify watch");
  need(open("/dev/ptmx", O_RDWR | O_NOCTTY | O_CLOEXEC), "a pseudo-terminal");
  struct sigevent event = {.sigev_notify = SIGEV_SIGNAL, .sigev_signo = SIGRTMIN};
  timer_t timer;
  need(timer_create(CLOCK_MONOTONIC, &event, &timer), "a timer");
  sigset_t queued;
  sigemptyset(&queued);
  sigaddset(&queued, SIGRTMIN + 1);
  sigprocmask(SIG_BLOCK, &queued, NULL);
  timer_t second;
  event.sigev_signo = SIGRTMIN + 1;
  need(timer_create(CLOCK_MONOTONIC, &event, &second), "a second timer");
  const int shared = shmget(IPC_PRIVATE, 65536, IPC_CREAT | 0600);
  need(shared, "shared memory");
  if (shared >= 0) shmctl(shared, IPC_RMID, NULL);
  char name[] = "/tmp/bystander-XXXXXX";
  const int file = mkstemp(name);
  need(file, "a file");
  char block[65536];
  memset(block, 'b', sizeof block);
  if (file >= 0) need(write(file, block, sizeof block) == (ssize_t)sizeof block ? 0 : -1, "64 KiB of disk");
  need(flock(file, LOCK_EX | LOCK_NB), "a lock");
  unlink(name);
  need(memfd_create("bystander", MFD_CLOEXEC), "a memory file");
  const int server = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  const int client = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  struct sockaddr_in place = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
  socklen_t size = sizeof place;
  need(bind(server, (const struct sockaddr*)&place, size), "a port");
  need(listen(server, 4), "a listening socket");
  need(getsockname(server, (struct sockaddr*)&place, &size), "its name");
  need(connect(client, (const struct sockaddr*)&place, size), "a connection");
  char* memory = malloc(8U << 20U);
  if (memory == NULL) escaped("without 8 MiB of memory");
  if (memory != NULL) memset(memory, 1, 8U << 20U);
  return verdict();
}
