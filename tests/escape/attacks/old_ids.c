// Two tenants, one after the other, with the same range of ids. "leave": the first leaves behind whatever it can.
// "find": the second looks for it.
#include <dirent.h>
#include <sys/ipc.h>
#include <sys/msg.h>
#include <sys/prctl.h>
#include <sys/sem.h>
#include <sys/shm.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>

#include "attack.h"

enum { kKey = 0x0c101573 };
static const char* const kFiles[] = {"/tmp/left", "/app/left", "/dev/shm/left", "/var/tmp/left"};

static int leave(void) {
  for (size_t i = 0; i < sizeof kFiles / sizeof *kFiles; ++i) {
    const int fd = open(kFiles[i], O_WRONLY | O_CREAT | O_CLOEXEC, 0666);
    if (fd >= 0 && write(fd, "left", 4) == 4) close(fd);
  }
  shmget(kKey, 4096, IPC_CREAT | 0666);
  semget(kKey, 1, IPC_CREAT | 0666);
  msgget(kKey, IPC_CREAT | 0666);
  syscall(SYS_add_key, "user", "left", "payload", 7UL, -4);
  // Away from its parent, its session and its terminal, deaf to every signal that can be ignored.
  for (int i = 0; i < 3; ++i) {
    if (fork() != 0) continue;
    setsid();
    if (fork() != 0) _exit(0);
    for (int number = 1; number < 65; ++number) signal(number, SIG_IGN);
    prctl(PR_SET_NAME, "left-behind", 0, 0, 0);
    const int fd = socket(AF_UNIX, SOCK_STREAM, 0);
    struct sockaddr_un name = {.sun_family = AF_UNIX, .sun_path = "\0left-behind"};
    if (fd >= 0 && bind(fd, (const struct sockaddr*)&name, sizeof name) == 0) listen(fd, 1);
    for (;;) pause();
  }
  usleep(100000);
  return verdict();
}

int main(int count, char** arguments) {
  if (count < 2) return 2;
  if (strcmp(arguments[1], "leave") == 0) return leave();
  for (size_t i = 0; i < sizeof kFiles / sizeof *kFiles; ++i) {
    refused(access(kFiles[i], F_OK), kFiles[i]);
  }
  refused(shmget(kKey, 0, 0), "shared memory");
  refused(semget(kKey, 0, 0), "semaphores");
  refused(msgget(kKey, 0), "a message queue");
  refused(syscall(SYS_request_key, "user", "left", NULL, 0), "a key");
  static const char* const kLists[] = {"/proc/sysvipc/shm", "/proc/sysvipc/sem", "/proc/sysvipc/msg"};
  for (size_t i = 0; i < sizeof kLists / sizeof *kLists; ++i) {
    FILE* list = fopen(kLists[i], "re");
    char line[512];
    int lines = 0;
    while (list != NULL && fgets(line, sizeof line, list) != NULL) ++lines;
    if (list != NULL) fclose(list);
    if (lines > 1) escaped("%s has %d lines", kLists[i], lines);
  }
  FILE* sockets = fopen("/proc/net/unix", "re");
  char line[512];
  while (sockets != NULL && fgets(line, sizeof line, sockets) != NULL) {
    if (strstr(line, "left") != NULL) escaped("a socket: %s", line);
  }
  DIR* processes = opendir("/proc");
  for (const struct dirent* entry = readdir(processes); entry != NULL; entry = readdir(processes)) {
    const int pid = atoi(entry->d_name);
    if (pid > 1 && pid != getpid()) escaped("process %d", pid);
  }
  return verdict();
}
