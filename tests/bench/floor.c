/* The bare floor of a launch: what the kernel alone takes for seven new namespaces, an id mapping, a bound root, a
 * pivot, a precompiled filter of 364 instructions, no capabilities, and exec. Nothing is hardened, checked or reported.
 *
 *   bench_floor ROOTFS PROGRAM [ARGUMENT...]
 *
 * Exits with the program's code, or 125 when a step failed. */
#define _GNU_SOURCE
#include <fcntl.h>
#include <linux/capability.h>
#include <linux/filter.h>
#include <linux/sched.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

enum { instructions = 364, firstForeignNumber = 1000 };

static void need(int good, const char* step) {
  if (good) return;
  perror(step);
  _exit(125);
}

static void writeFile(const char* path, const char* text) {
  const int fd = open(path, O_WRONLY | O_CLOEXEC);
  need(fd >= 0 && write(fd, text, strlen(text)) == (ssize_t)strlen(text), path);
  close(fd);
}

static void enterRoot(const char* root) {
  need(mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) == 0, "private");
  need(mount(root, root, NULL, MS_BIND | MS_REC, NULL) == 0, "bind");
  need(chdir(root) == 0, "chdir");
  need(syscall(SYS_pivot_root, ".", ".") == 0, "pivot_root");
  need(umount2(".", MNT_DETACH) == 0, "umount");
  need(chdir("/") == 0, "chdir /");
}

/* As long as a real allow-list, compared one by one, allowing everything: its cost without its verdicts. */
static void installFilter(void) {
  struct sock_filter filter[instructions];
  filter[0] = (struct sock_filter)BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr));
  for (unsigned i = 1; i < instructions - 1; i++) {
    filter[i] = (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, firstForeignNumber + i, 0, 0);
  }
  filter[instructions - 1] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW);
  struct sock_fprog program = {.len = instructions, .filter = filter};
  need(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0, "no_new_privs");
  need(syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, &program) == 0, "seccomp");
}

static void dropCapabilities(void) {
  struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3, .pid = 0};
  struct __user_cap_data_struct none[2];
  memset(none, 0, sizeof none);
  for (int capability = 0; prctl(PR_CAPBSET_READ, capability, 0, 0, 0) == 1; capability++) {
    need(prctl(PR_CAPBSET_DROP, capability, 0, 0, 0) == 0, "bounding set");
  }
  need(syscall(SYS_capset, &header, none) == 0, "capset");
}

static void child(int proceed, char** argv) {
  char byte;
  need(read(proceed, &byte, 1) == 1, "proceed");
  need(setresgid(0, 0, 0) == 0 && setresuid(0, 0, 0) == 0, "ids");
  enterRoot(argv[1]);
  dropCapabilities();
  installFilter();
  execv(argv[2], argv + 2);
  need(0, "exec");
}

int main(int argc, char** argv) {
  int proceed[2];
  char path[64];
  int status = 0;
  if (argc < 3) return 125;
  need(pipe2(proceed, O_CLOEXEC) == 0, "pipe");
  struct clone_args arguments;
  memset(&arguments, 0, sizeof arguments);
  arguments.flags =
      CLONE_NEWUSER | CLONE_NEWNS | CLONE_NEWPID | CLONE_NEWNET | CLONE_NEWIPC | CLONE_NEWUTS | CLONE_NEWCGROUP;
  arguments.exit_signal = SIGCHLD;
  const pid_t pid = (pid_t)syscall(SYS_clone3, &arguments, sizeof arguments);
  need(pid >= 0, "clone3");
  if (pid == 0) child(proceed[0], argv);
  snprintf(path, sizeof path, "/proc/%d/uid_map", pid);
  writeFile(path, "0 100000 65536\n");
  snprintf(path, sizeof path, "/proc/%d/gid_map", pid);
  writeFile(path, "0 100000 65536\n");
  need(write(proceed[1], "g", 1) == 1, "go");
  need(waitpid(pid, &status, 0) == pid, "wait");
  return WIFEXITED(status) ? WEXITSTATUS(status) : 125;
}
