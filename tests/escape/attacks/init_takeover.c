// The first process of the container is Cloister's: its memory, descriptors and life are not the tenant's to take.
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/uio.h>

#include "attack.h"

int main(void) {
  refused(ptrace(PTRACE_ATTACH, 1, NULL, NULL), "PTRACE_ATTACH");
  refused(ptrace(PTRACE_SEIZE, 1, NULL, NULL), "PTRACE_SEIZE");
  refused(ptrace(PTRACE_TRACEME, 0, NULL, NULL), "PTRACE_TRACEME");
  char buffer[64];
  struct iovec here = {buffer, sizeof buffer};
  struct iovec there = {(void*)0x400000, sizeof buffer};
  refused(process_vm_readv(1, &here, 1, &there, 1, 0), "process_vm_readv");
  refused(process_vm_writev(1, &here, 1, &there, 1, 0), "process_vm_writev");
  const int init = (int)syscall(SYS_pidfd_open, 1, 0);
  if (init >= 0) refused(syscall(SYS_pidfd_getfd, init, 4, 0), "pidfd_getfd");
  // Opening one is harmless where each read and write asks again who it is.
  static const char* const kFiles[] = {"mem", "environ", "maps",  "auxv",  "stack",       "syscall",
                                       "io",  "pagemap", "wchan", "smaps", "personality", "numa_maps"};
  for (size_t i = 0; i < sizeof kFiles / sizeof *kFiles; ++i) {
    char path[64];
    snprintf(path, sizeof path, "/proc/1/%s", kFiles[i]);
    const int reader = open(path, O_RDONLY | O_CLOEXEC);
    if (reader >= 0 && pread(reader, buffer, sizeof buffer, 0x400000) > 0)
      escaped("%s can be read in its middle", path);
    if (reader >= 0 && strcmp(kFiles[i], "wchan") != 0 && read(reader, buffer, sizeof buffer) > 0) {
      escaped("%s can be read", path);
    }
    if (reader >= 0) close(reader);
    const int writer = open(path, O_WRONLY | O_CLOEXEC);
    if (writer >= 0 && pwrite(writer, buffer, sizeof buffer, 0x400000) > 0) escaped("%s can be written", path);
    if (writer >= 0) close(writer);
  }
  static const char* const kLinks[] = {"exe", "cwd/.", "root/.", "fd/3", "fd/4", "fd/5", "ns/user"};
  for (size_t i = 0; i < sizeof kLinks / sizeof *kLinks; ++i) {
    char path[64];
    snprintf(path, sizeof path, "/proc/1/%s", kLinks[i]);
    refused(open(path, O_RDONLY | O_CLOEXEC), path);
  }
  // All others it forwards to the command, which is the tenant's own.
  kill(1, SIGKILL);
  kill(1, SIGSTOP);
  if (init >= 0) syscall(SYS_pidfd_send_signal, init, SIGKILL, NULL, 0);
  usleep(100000);
  if (kill(1, 0) != 0 && errno == ESRCH) escaped("init is gone");
  return verdict();
}
