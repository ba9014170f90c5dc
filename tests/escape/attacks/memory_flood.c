// Memory of every kind that is not malloc's: shared, in memory files, in pipes, in sockets, as kernel objects. All of
// it is the container's.
#include <sys/mman.h>
#include <sys/shm.h>
#include <sys/socket.h>

#include "attack.h"

enum { kChunk = 4 << 20 };

static void take(int way) {
  static char block[65536];
  memset(block, 'm', sizeof block);
  for (;;) {
    void* memory = MAP_FAILED;
    if (way == 0) memory = mmap(NULL, kChunk, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (way == 1) {
      const int file = memfd_create("flood", 0);
      if (file < 0 || ftruncate(file, kChunk) != 0) return;
      memory = mmap(NULL, kChunk, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
    }
    if (way == 2) {
      const int shared = shmget(IPC_PRIVATE, kChunk, IPC_CREAT | 0600);
      if (shared < 0) return;
      memory = shmat(shared, NULL, 0);
    }
    if (way == 3) {
      int ends[2];
      if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, ends) != 0) return;
      while (write(ends[0], block, sizeof block) > 0) {
      }
      continue;
    }
    if (way == 4) {
      int ends[2];
      if (pipe2(ends, O_NONBLOCK) != 0) return;
      (void)fcntl(ends[0], F_SETPIPE_SZ, 1 << 20);
      while (write(ends[1], block, sizeof block) > 0) {
      }
      continue;
    }
    if (memory == MAP_FAILED) return;
    memset(memory, 'm', kChunk);
  }
}

int main(int count, char** arguments) {
  if (count < 2) return 2;
  const int way = atoi(arguments[1]);
  // Each child is killed when the group is full; what it held that has no owner stays until the container goes.
  for (int i = 0; i < 4; ++i) {
    fflush(stdout);
    const pid_t child = fork();
    if (child == 0) {
      take(way);
      _exit(0);
    }
    int status = 0;
    if (child > 0) waitpid(child, &status, 0);
    printf("a child ended with %x\n", (unsigned)status);
  }
  return hold(4, "greedy children");
}
