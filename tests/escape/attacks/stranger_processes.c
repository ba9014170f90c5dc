// Processes of the host and of a neighbour, by the numbers that the host knows them by: none may be there.
#include <sys/ptrace.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>

#include "attack.h"

int main(int count, char** arguments) {
  if (count < 2) return 2;
  char buffer[64];
  struct iovec here = {buffer, sizeof buffer};
  struct iovec there = {(void*)0x400000, sizeof buffer};
  for (int i = 1; i < count; ++i) {
    const pid_t pid = atoi(arguments[i]);
    char what[64];
    snprintf(what, sizeof what, "/proc/%d", pid);
    struct stat info;
    refused(stat(what, &info), what);
    refused(kill(pid, SIGKILL), "kill");
    refused(kill(-pid, SIGKILL), "kill of a group");
    refused(syscall(SYS_tgkill, pid, pid, SIGKILL), "tgkill");
    refused(syscall(SYS_pidfd_open, pid, 0), "pidfd_open");
    refused(ptrace(PTRACE_SEIZE, pid, NULL, NULL), "ptrace");
    refused(process_vm_readv(pid, &here, 1, &there, 1, 0), "process_vm_readv");
    refused(process_vm_writev(pid, &here, 1, &there, 1, 0), "process_vm_writev");
  }
  // And all numbers at once: who is asked for by the host sees whether anybody died.
  kill(-1, SIGKILL);
  for (pid_t pid = 2; pid < 131072; ++pid) {
    if (pid != getpid() && pid != getppid()) kill(pid, SIGKILL);
  }
  return verdict();
}
