/* What an ordinary user without capabilities may do on any Linux, done for real and under every wall of a container.
 * Each act is a line only if its outcome is not that of an ordinary user of Debian; "done" is the last. Static, without
 * arguments, in a directory of its own. Raw calls: libc would take the newer spelling for the older one. */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <ifaddrs.h>
#include <linux/capability.h>
#include <linux/sockios.h>
#include <mqueue.h>
#include <net/if.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/ipc.h>
#include <sys/mman.h>
#include <sys/msg.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/uio.h>
#include <sys/xattr.h>
#include <time.h>
#include <unistd.h>
#include <utime.h>

#ifndef SYS_fchmodat2
#define SYS_fchmodat2 452
#endif

static void expect(const char* what, int wanted, long result) {
  const int code = result < 0 ? errno : 0;
  if (code != wanted) printf("%s: %s\n", what, strerror(code));
}
static void works(const char* what, long result) {
  expect(what, 0, result);
}
static void perhaps(const char* what, int absent, long result) {
  if (result >= 0 || errno != absent) works(what, result);
}

static void own_identity(void) {
  const uid_t uid = getuid();
  const gid_t gid = getgid();
  works("setuid", syscall(SYS_setuid, uid));
  works("setgid", syscall(SYS_setgid, gid));
  works("setreuid", syscall(SYS_setreuid, uid, -1));
  works("setregid", syscall(SYS_setregid, -1, gid));
  works("setresuid", syscall(SYS_setresuid, uid, uid, uid));
  works("setresgid", syscall(SYS_setresgid, gid, -1, gid));
  if (syscall(SYS_setfsuid, uid) != (long)uid) printf("setfsuid\n");
  if (syscall(SYS_setfsgid, gid) != (long)gid) printf("setfsgid\n");
  expect("setuid(0)", EPERM, syscall(SYS_setuid, 0));
  expect("setgid(33)", EPERM, syscall(SYS_setgid, 33));
  expect("setresuid(own, 0, own)", EPERM, syscall(SYS_setresuid, uid, 0, uid));
  expect("setgroups", EPERM, syscall(SYS_setgroups, 0, NULL));
  if (getuid() != uid || geteuid() != uid || getgid() != gid || getegid() != gid) printf("became somebody else\n");
  struct __user_cap_header_struct header = {_LINUX_CAPABILITY_VERSION_3, 0};
  struct __user_cap_data_struct none[2] = {{0}};
  works("capset to nothing", syscall(SYS_capset, &header, none));
  none[0].effective = none[0].permitted = 1U << CAP_CHOWN;
  expect("capset to CAP_CHOWN", EPERM, syscall(SYS_capset, &header, none));
  works("personality", syscall(SYS_personality, 0xffffffffUL));
}

static void own_files(void) {
  const uid_t uid = getuid();
  const gid_t gid = getgid();
  const int file = (int)syscall(SYS_creat, "own", 0644);
  works("creat", file);
  works("chown", syscall(SYS_chown, "own", uid, gid));
  works("lchown", syscall(SYS_lchown, "own", uid, -1));
  works("fchown", syscall(SYS_fchown, file, -1, gid));
  works("fchownat", syscall(SYS_fchownat, AT_FDCWD, "own", uid, gid, 0));
  expect("chown to root", EPERM, syscall(SYS_chown, "own", 0, -1));
  expect("chown to another group", EPERM, syscall(SYS_fchown, file, -1, 33));
  expect("chown of another's file", EPERM, syscall(SYS_chown, "/", uid, gid));
  perhaps("fchmodat2", ENOSYS, syscall(SYS_fchmodat2, AT_FDCWD, "own", 0600, AT_SYMLINK_NOFOLLOW));
  works("utime", syscall(SYS_utime, "own", NULL));
  works("utimes", syscall(SYS_utimes, "own", NULL));
  works("futimesat", syscall(SYS_futimesat, AT_FDCWD, "own", NULL));
  works("setxattr", syscall(SYS_setxattr, "own", "user.a", "1", 1, 0));
  works("lsetxattr", syscall(SYS_lsetxattr, "own", "user.b", "1", 1, 0));
  works("fsetxattr", syscall(SYS_fsetxattr, file, "user.c", "1", 1, 0));
  works("removexattr", syscall(SYS_removexattr, "own", "user.a"));
  works("lremovexattr", syscall(SYS_lremovexattr, "own", "user.b"));
  works("fremovexattr", syscall(SYS_fremovexattr, file, "user.c"));
  expect("trusted attribute", EPERM, syscall(SYS_setxattr, "own", "trusted.a", "1", 1, 0));
  struct iovec piece = {(void*)(size_t) "text", 4};
  works("pwritev2", syscall(SYS_pwritev2, file, &piece, 1, 0, 0, 0));
  works("sync_file_range", syscall(SYS_sync_file_range, file, 0, 0, 2));
  works("syncfs", syscall(SYS_syncfs, file));
  struct {
    unsigned long flags, mode, resolve;
  } how = {.flags = O_RDONLY, .resolve = 8};  // RESOLVE_BENEATH
  const int beneath = (int)syscall(SYS_openat2, AT_FDCWD, "own", &how, sizeof how);
  works("openat2", beneath);
  char bytes[4];
  piece.iov_base = bytes;
  works("preadv2", syscall(SYS_preadv2, beneath, &piece, 1, 0, 0, 0));
  works("readahead", syscall(SYS_readahead, beneath, 0, 4096));
  char entries[1024];
  works("getdents", syscall(SYS_getdents, open(".", O_RDONLY | O_DIRECTORY | O_CLOEXEC), entries, sizeof entries));
  works("mknod of a FIFO", syscall(SYS_mknod, "fifo", S_IFIFO | 0600, 0));
  works("mknod of a file", syscall(SYS_mknod, "file", S_IFREG | 0600, 0));
  works("mknod of a socket", syscall(SYS_mknod, "socket", S_IFSOCK | 0600, 0));
}

static void waiting_and_queues(void) {
  works("eventfd", syscall(SYS_eventfd, 0));
  unsigned long signals = 1UL << (SIGUSR1 - 1);
  works("signalfd", syscall(SYS_signalfd, -1, &signals, sizeof signals));
  const int watch = (int)syscall(SYS_inotify_init);
  works("inotify_init", watch);
  works("inotify_add_watch", syscall(SYS_inotify_add_watch, watch, ".", 0x100));
  const int poll = (int)syscall(SYS_epoll_create, 1);
  char event[16];
  const struct timespec soon = {0, 1000};
  works("epoll_pwait2", syscall(SYS_epoll_pwait2, poll, event, 1, &soon, NULL, 8));
  struct itimerspec left;
  works("timerfd_gettime", syscall(SYS_timerfd_gettime, syscall(SYS_timerfd_create, CLOCK_MONOTONIC, 0), &left));

  const int queue = (int)syscall(SYS_msgget, IPC_PRIVATE, 0600);
  struct {
    long type;
    char text[8];
  } message = {1, "text"};
  works("msgget", queue);
  works("msgsnd", syscall(SYS_msgsnd, queue, &message, sizeof message.text, 0));
  works("msgrcv", syscall(SYS_msgrcv, queue, &message, sizeof message.text, 0, IPC_NOWAIT));
  works("msgctl", syscall(SYS_msgctl, queue, IPC_RMID, NULL));
  const int posix = (int)syscall(SYS_mq_open, "queue", O_RDWR | O_CREAT, 0600, NULL);
  char received[8192];
  works("mq_open", posix);
  works("mq_timedsend", syscall(SYS_mq_timedsend, posix, "text", 4, 0, NULL));
  works("mq_timedreceive", syscall(SYS_mq_timedreceive, posix, received, sizeof received, NULL, NULL));
  works("mq_getsetattr", syscall(SYS_mq_getsetattr, posix, NULL, received));
  works("mq_unlink", syscall(SYS_mq_unlink, "queue"));
}

static void own_process(void) {
  struct sched_param plain = {0};
  const struct sched_param urgent = {1};
  works("sched_getparam", syscall(SYS_sched_getparam, 0, &plain));
  works("sched_setparam", syscall(SYS_sched_setparam, 0, &plain));
  works("sched_setscheduler to SCHED_BATCH", syscall(SYS_sched_setscheduler, 0, 3, &plain));
  expect("sched_setscheduler to SCHED_FIFO", EPERM, syscall(SYS_sched_setscheduler, 0, 1, &urgent));
  char attributes[64] = {0};
  works("sched_getattr", syscall(SYS_sched_getattr, 0, attributes, sizeof attributes, 0));
  works("sched_setattr", syscall(SYS_sched_setattr, 0, attributes, 0));
  const long place = syscall(SYS_ioprio_get, 1, 0);
  works("ioprio_get", place);
  works("ioprio_set", syscall(SYS_ioprio_set, 1, 0, (2 << 13) | 7));
  expect("ioprio_set to real time", EPERM, syscall(SYS_ioprio_set, 1, 0, 1 << 13));
  expect("mlockall", ENOMEM, syscall(SYS_mlockall, 1));
  works("munlockall", syscall(SYS_munlockall));
  char* memory = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  unsigned char resident = 0;
  works("mincore", syscall(SYS_mincore, memory, 4096, &resident));
  signal(SIGUSR1, SIG_IGN);
  siginfo_t value = {.si_signo = SIGUSR1, .si_code = SI_QUEUE};
  works("rt_sigqueueinfo", syscall(SYS_rt_sigqueueinfo, getpid(), SIGUSR1, &value));
}

/* As psutil, ifconfig and net-snmp ask. Of a device without a link that could be set, nothing of it is there. */
static void own_interfaces(void) {
  const int any = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  const struct {
    const char* name;
    unsigned long request;
  } read[] = {
      {"SIOCGIFFLAGS", SIOCGIFFLAGS},     {"SIOCGIFADDR", SIOCGIFADDR},       {"SIOCGIFDSTADDR", SIOCGIFDSTADDR},
      {"SIOCGIFBRDADDR", SIOCGIFBRDADDR}, {"SIOCGIFNETMASK", SIOCGIFNETMASK}, {"SIOCGIFMTU", SIOCGIFMTU},
      {"SIOCGIFHWADDR", SIOCGIFHWADDR},   {"SIOCGIFINDEX", SIOCGIFINDEX},     {"SIOCGIFTXQLEN", SIOCGIFTXQLEN},
      {"SIOCGIFMETRIC", SIOCGIFMETRIC},   {"SIOCGIFMAP", SIOCGIFMAP}};
  for (unsigned i = 0; i < sizeof read / sizeof *read; ++i) {
    struct ifreq loopback = {.ifr_name = "lo"};
    works(read[i].name, ioctl(any, read[i].request, &loopback));
  }
  struct ifreq loopback = {.ifr_name = "lo"};
  expect("SIOCETHTOOL", EOPNOTSUPP, ioctl(any, SIOCETHTOOL, &loopback));
  expect("SIOCGMIIPHY", EOPNOTSUPP, ioctl(any, SIOCGMIIPHY, &loopback));
  expect("SIOCGMIIREG", EOPNOTSUPP, ioctl(any, SIOCGMIIREG, &loopback));
  close(any);
}

static void own_network(void) {
  const int server = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(80), .sin_addr = {htonl(INADDR_LOOPBACK)}};
  works("bind to port 80", bind(server, (struct sockaddr*)&address, sizeof address));
  works("listen", listen(server, 8));
  const int ping = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, IPPROTO_ICMP);
  works("socket for pings", ping);
  address.sin_port = 0;
  char request[8] = {8, 0, 0, 0, 0, 0, 0, 1};
  char answer[64];
  works("ping sent", sendto(ping, request, sizeof request, 0, (struct sockaddr*)&address, sizeof address));
  works("ping answered", recv(ping, answer, sizeof answer, 0));
  struct ifaddrs* interfaces = NULL;
  works("getifaddrs", getifaddrs(&interfaces));
  if (interfaces == NULL) printf("no interface\n");
  freeifaddrs(interfaces);
  int pair[2];
  works("socketpair", socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair));
  works("send", send(pair[0], "a", 1, MSG_NOSIGNAL));
  expect("send MSG_OOB", EOPNOTSUPP, send(pair[0], "a", 1, MSG_OOB));
  expect("recv MSG_OOB", EOPNOTSUPP, recv(pair[1], answer, 1, MSG_OOB));
}

int main(void) {
  own_identity();
  own_files();
  waiting_and_queues();
  own_process();
  own_network();
  own_interfaces();
  printf("done\n");
  return 0;
}
