// The kernel reads an int argument's low 32 bits; a filter that compares all 64 lets these through.
#include <linux/sched.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>

#include "attack.h"

#define MASKED(value, bit) ((unsigned long)(unsigned)(value) | (1UL << (bit)))

int main(void) {
  static const unsigned kBits[] = {32, 33, 47, 62, 63};
  int terminal = open("/dev/ptmx", O_RDWR | O_NOCTTY | O_CLOEXEC);
  if (terminal < 0) terminal = 0;
  for (size_t i = 0; i < sizeof kBits / sizeof *kBits; ++i) {
    const unsigned bit = kBits[i];
    char key = 'x';
    refused(syscall(SYS_ioctl, terminal, MASKED(TIOCSTI, bit), &key), "TIOCSTI");
    refused(syscall(SYS_ioctl, terminal, MASKED(TIOCLINUX, bit), &key), "TIOCLINUX");
    refused(syscall(SYS_ioctl, terminal, MASKED(TIOCSETD, bit), &key), "TIOCSETD");
    refused(syscall(SYS_socket, MASKED(17, bit), SOCK_RAW, 0), "AF_PACKET");
    refused(syscall(SYS_socket, MASKED(AF_INET, bit), SOCK_RAW, 255), "raw IPv4");
    refused(syscall(SYS_socket, AF_INET, MASKED(SOCK_RAW, bit), 255), "raw IPv4, by its type");
    refused(syscall(SYS_socket, MASKED(AF_NETLINK, bit), SOCK_RAW, MASKED(12, bit)), "netfilter");
    refused(syscall(SYS_personality, MASKED(0x0040000, bit)), "personality");
    refused(syscall(SYS_prctl, MASKED(PR_SET_MM, bit), 1UL, 0UL, 0UL, 0UL), "PR_SET_MM");
    refused(syscall(SYS_mknod, "/tmp/device", MASKED(S_IFBLK | 0600, bit), 0x700UL), "mknod");
    refused(syscall(SYS_mknodat, MASKED(AT_FDCWD, bit), "/tmp/device", MASKED(S_IFCHR | 0600, bit), 0x101UL),
            "mknodat");
    const long child = syscall(SYS_clone, MASKED(CLONE_NEWUSER | SIGCHLD, bit), 0, 0, 0, 0);
    if (child == 0) _exit(0);
    refused(child, "clone");
    refused(syscall(SYS_unshare, MASKED(CLONE_NEWUSER, bit)), "unshare");
    refused(syscall(SYS_setns, MASKED(0, bit), MASKED(CLONE_NEWNS, bit)), "setns");
  }
  return verdict();
}
