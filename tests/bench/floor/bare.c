/* The bare floor of a launch: what the kernel alone takes for seven new namespaces, an id mapping, a bound root, a
 * pivot, a precompiled filter of 364 instructions, no capabilities, and exec. Nothing is hardened, checked or reported.
 *
 *   bench_floor ROOTFS PROGRAM [ARGUMENT...]
 *
 * Exits with the program's code, or 125 when a step failed. */
#define _GNU_SOURCE
#include <fcntl.h>
#include <sched.h>
#include <stddef.h>
#include <sys/mount.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/bench/floor/steps.h"

static void enterRoot(const char* root) {
  need(mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) == 0, "private");
  need(mount(root, root, NULL, MS_BIND | MS_REC, NULL) == 0, "bind");
  need(chdir(root) == 0, "chdir");
  need(syscall(SYS_pivot_root, ".", ".") == 0, "pivot_root");
  need(umount2(".", MNT_DETACH) == 0, "umount");
  need(chdir("/") == 0, "chdir /");
}

static void child(int proceed, char** argv) {
  char byte;
  need(read(proceed, &byte, 1) == 1, "proceed");
  becomeRootInside();
  enterRoot(argv[1]);
  dropCapabilities();
  installFilter(364);
  execv(argv[2], argv + 2);
  need(0, "exec");
}

int main(int argc, char** argv) {
  int proceed[2];
  int status = 0;
  if (argc < 3) return 125;
  need(pipe2(proceed, O_CLOEXEC) == 0, "pipe");
  const pid_t pid = cloneInto(
      CLONE_NEWUSER | CLONE_NEWNS | CLONE_NEWPID | CLONE_NEWNET | CLONE_NEWIPC | CLONE_NEWUTS | CLONE_NEWCGROUP, -1);
  if (pid == 0) child(proceed[0], argv);
  mapIds(pid);
  need(write(proceed[1], "g", 1) == 1, "go");
  need(waitpid(pid, &status, 0) == pid, "wait");
  return WIFEXITED(status) ? WEXITSTATUS(status) : 125;
}
