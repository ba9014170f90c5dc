// Message queues, POSIX and System V: kernel memory that outlives its maker.
#include <mqueue.h>
#include <sys/ipc.h>
#include <sys/msg.h>
#include <sys/sem.h>
#include <sys/syscall.h>

#include "attack.h"

int main(int count, char** arguments) {
  if (count < 2) return 2;
  const long bound = atol(arguments[1]);
  long queues = 0;
  for (; queues <= bound; ++queues) {
    char name[32];
    snprintf(name, sizeof name, "flood%ld", queues);
    if (syscall(SYS_mq_open, name, O_RDWR | O_CREAT, 0600, NULL) < 0) break;
  }
  if (queues > bound) escaped("%ld POSIX queues", queues);
  // System V: those of the own namespace, paid from the group's memory.
  struct {
    long type;
    char text[8192];
  } message = {.type = 1};
  long messages = 0;
  for (int i = 0; i < 256; ++i) {
    const int queue = msgget(IPC_PRIVATE, IPC_CREAT | 0600);
    if (queue < 0) break;
    while (msgsnd(queue, &message, sizeof message.text, IPC_NOWAIT) == 0) ++messages;
  }
  printf("%ld messages\n", messages);
  long sets = 0;
  while (sets < 1024 && semget(IPC_PRIVATE, 250, IPC_CREAT | 0600) >= 0) ++sets;
  printf("%ld semaphore sets\n", sets);
  return hold(queues, "POSIX queues");
}
