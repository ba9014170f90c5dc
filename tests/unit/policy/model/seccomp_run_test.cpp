// The built-in filters, run: what is allowed works, what is denied answers the documented errno, foreign ABIs die.
#include <fcntl.h>
#include <ifaddrs.h>
#include <linux/netlink.h>
#include <linux/sched.h>
#include <net/if.h>
#include <netinet/in.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/stat.h>

#include <array>
#include <csignal>
#include <string>
#include <thread>

#include <gtest/gtest.h>

#include "sandbox/base/identity.h"
#include "tests/unit/policy/model/filtered_process.h"

namespace cloister::policy {
namespace {

using launcher::Confinement;

constexpr unsigned long kHigh = 0xdeadbeef'00000000UL;

struct Attempt {
  const char* name;
  long number;
  std::array<unsigned long, 5> arguments;
  int error;  // 0: the call succeeds
};

int attempt(const Attempt& what) {
  const auto& a = what.arguments;
  return errnoOf(what.number, a[0], a[1], a[2], a[3], a[4]);
}

// The same answers in every class, and whatever the high halves of int arguments say.
const std::array kEverywhere = {
    Attempt{"getpid", SYS_getpid, {}, 0},
    Attempt{"unknown call", 460, {}, ENOSYS},
    Attempt{"call far beyond the table", 0x3fffffff, {}, ENOSYS},
    Attempt{"clone3", SYS_clone3, {}, ENOSYS},
    Attempt{"mount", SYS_mount, {}, EPERM},
    Attempt{"umount2", SYS_umount2, {}, EPERM},
    Attempt{"pivot_root", SYS_pivot_root, {}, EPERM},
    Attempt{"fsopen", SYS_fsopen, {}, EPERM},
    Attempt{"open_tree", SYS_open_tree, {}, EPERM},
    Attempt{"move_mount", SYS_move_mount, {}, EPERM},
    Attempt{"mount_setattr", SYS_mount_setattr, {}, EPERM},
    Attempt{"unshare", SYS_unshare, {CLONE_NEWUSER}, EPERM},
    Attempt{"setns", SYS_setns, {}, EPERM},
    Attempt{"bpf", SYS_bpf, {}, EPERM},
    Attempt{"perf_event_open", SYS_perf_event_open, {}, EPERM},
    Attempt{"userfaultfd", SYS_userfaultfd, {}, EPERM},
    Attempt{"keyctl", SYS_keyctl, {}, EPERM},
    Attempt{"add_key", SYS_add_key, {}, EPERM},
    Attempt{"request_key", SYS_request_key, {}, EPERM},
    Attempt{"ptrace", SYS_ptrace, {}, EPERM},
    Attempt{"process_vm_readv", SYS_process_vm_readv, {}, EPERM},
    Attempt{"process_vm_writev", SYS_process_vm_writev, {}, EPERM},
    Attempt{"pidfd_getfd", SYS_pidfd_getfd, {}, EPERM},
    Attempt{"name_to_handle_at", SYS_name_to_handle_at, {}, EPERM},
    Attempt{"open_by_handle_at", SYS_open_by_handle_at, {}, EPERM},
    Attempt{"init_module", SYS_init_module, {}, EPERM},
    Attempt{"finit_module", SYS_finit_module, {}, EPERM},
    Attempt{"delete_module", SYS_delete_module, {}, EPERM},
    Attempt{"kexec_load", SYS_kexec_load, {}, EPERM},
    Attempt{"reboot", SYS_reboot, {}, EPERM},
    Attempt{"swapon", SYS_swapon, {}, EPERM},
    Attempt{"settimeofday", SYS_settimeofday, {}, EPERM},
    Attempt{"clock_settime", SYS_clock_settime, {}, EPERM},
    Attempt{"quotactl", SYS_quotactl, {}, EPERM},
    Attempt{"acct", SYS_acct, {}, EPERM},
    Attempt{"syslog", SYS_syslog, {}, EPERM},
    Attempt{"io_uring_setup", SYS_io_uring_setup, {}, ENOSYS},
    Attempt{"io_setup", SYS_io_setup, {}, ENOSYS},
    Attempt{"sync", SYS_sync, {}, ENOSYS},
    Attempt{"clone into a user namespace", SYS_clone, {CLONE_NEWUSER | SIGCHLD}, EPERM},
    Attempt{"clone into a mount namespace", SYS_clone, {CLONE_NEWNS | SIGCHLD}, EPERM},
    Attempt{"clone into a cgroup namespace", SYS_clone, {CLONE_NEWCGROUP | SIGCHLD}, EPERM},
    Attempt{"clone into a uts namespace", SYS_clone, {CLONE_NEWUTS | SIGCHLD}, EPERM},
    Attempt{"clone into an ipc namespace", SYS_clone, {CLONE_NEWIPC | SIGCHLD}, EPERM},
    Attempt{"clone into a pid namespace", SYS_clone, {CLONE_NEWPID | SIGCHLD}, EPERM},
    Attempt{"clone into a net namespace", SYS_clone, {CLONE_NEWNET | SIGCHLD}, EPERM},
    Attempt{"clone into several, high half set", SYS_clone, {kHigh | CLONE_NEWUSER | CLONE_NEWNS | SIGCHLD}, EPERM},
    Attempt{"TIOCSTI", SYS_ioctl, {0, TIOCSTI}, EPERM},
    Attempt{"TIOCSTI, high half set", SYS_ioctl, {0, kHigh | TIOCSTI}, EPERM},
    Attempt{"TIOCLINUX", SYS_ioctl, {0, TIOCLINUX}, EPERM},
    Attempt{"TIOCLINUX, high half set", SYS_ioctl, {0, kHigh | TIOCLINUX}, EPERM},
    Attempt{"TIOCSETD, high half set", SYS_ioctl, {0, kHigh | TIOCSETD}, EPERM},
    Attempt{"SIOCETHTOOL", SYS_ioctl, {0, 0x8946}, EOPNOTSUPP},
    Attempt{"SIOCETHTOOL, high half set", SYS_ioctl, {0, kHigh | 0x8946}, EOPNOTSUPP},
    Attempt{"SIOCGMIIPHY", SYS_ioctl, {0, 0x8947}, EOPNOTSUPP},
    Attempt{"SIOCSMIIREG", SYS_ioctl, {0, 0x8949}, ENOTTY},
    Attempt{"an ioctl of no list", SYS_ioctl, {0, 0x12345678}, ENOTTY},
    Attempt{"personality, asked", SYS_personality, {0xffffffffU}, 0},
    Attempt{"personality, asked with the high half set", SYS_personality, {kHigh | 0xffffffffU}, 0},
    Attempt{"personality ADDR_NO_RANDOMIZE", SYS_personality, {0x0040000}, EPERM},
    Attempt{"personality ADDR_NO_RANDOMIZE, high half set", SYS_personality, {kHigh | 0x0040000}, EPERM},
    Attempt{"prctl PR_SET_MM", SYS_prctl, {35}, EINVAL},
    Attempt{"mknod of a character device", SYS_mknod, {0, S_IFCHR | 0600}, EPERM},
    Attempt{"mknod of a block device", SYS_mknod, {0, S_IFBLK | 0600}, EPERM},
    Attempt{"mknodat of a character device, high half set", SYS_mknodat, {0, 0, kHigh | S_IFCHR | 0600}, EPERM},
    Attempt{"mknodat of a block device", SYS_mknodat, {0, 0, S_IFBLK | 0600}, EPERM},
    Attempt{"mknodat of a FIFO reaches the kernel", SYS_mknodat, {0, 0, S_IFIFO | 0600}, EFAULT},
};

const std::array kSockets = {
    Attempt{"Unix stream", SYS_socket, {AF_UNIX, SOCK_STREAM}, 0},
    Attempt{"Unix with flags", SYS_socket, {AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK}, 0},
    Attempt{"TCP", SYS_socket, {AF_INET, SOCK_STREAM | SOCK_CLOEXEC}, 0},
    Attempt{"TCP, high halves set", SYS_socket, {kHigh | AF_INET, kHigh | SOCK_STREAM, kHigh}, 0},
    Attempt{"TCP, named", SYS_socket, {AF_INET, SOCK_STREAM, IPPROTO_TCP}, 0},
    Attempt{"UDP", SYS_socket, {AF_INET, SOCK_DGRAM}, 0},
    Attempt{"UDP, named", SYS_socket, {AF_INET, SOCK_DGRAM, IPPROTO_UDP}, 0},
    Attempt{"NETLINK_ROUTE", SYS_socket, {AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE}, 0},
    Attempt{"NETLINK_ROUTE, high halves set", SYS_socket, {kHigh | AF_NETLINK, kHigh | SOCK_RAW, kHigh}, 0},
    Attempt{"NETLINK_SOCK_DIAG", SYS_socket, {AF_NETLINK, SOCK_RAW, NETLINK_SOCK_DIAG}, EAFNOSUPPORT},
    Attempt{"NETLINK_GENERIC", SYS_socket, {AF_NETLINK, SOCK_RAW, NETLINK_GENERIC}, EAFNOSUPPORT},
    Attempt{"NETLINK_NETFILTER", SYS_socket, {AF_NETLINK, SOCK_RAW, NETLINK_NETFILTER}, EAFNOSUPPORT},
    Attempt{"NETLINK_AUDIT", SYS_socket, {AF_NETLINK, SOCK_RAW, NETLINK_AUDIT}, EAFNOSUPPORT},
    Attempt{"netfilter, high halves set",
            SYS_socket,
            {kHigh | AF_NETLINK, SOCK_RAW, kHigh | NETLINK_NETFILTER},
            EAFNOSUPPORT},
    Attempt{"a pair of netlink sockets", SYS_socketpair, {AF_NETLINK, SOCK_RAW, NETLINK_ROUTE}, EAFNOSUPPORT},
    Attempt{"raw IPv4", SYS_socket, {AF_INET, SOCK_RAW, 1}, EPERM},
    Attempt{"raw IPv4 with flags", SYS_socket, {AF_INET, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, 255}, EPERM},
    Attempt{"raw IPv4, high halves set", SYS_socket, {kHigh | AF_INET, kHigh | SOCK_RAW, 1}, EPERM},
    Attempt{"raw IPv6", SYS_socket, {AF_INET6, SOCK_RAW, 58}, EPERM},
    Attempt{"ICMP other than by an echo socket", SYS_socket, {AF_INET6, SOCK_DGRAM, IPPROTO_ICMPV6}, EAFNOSUPPORT},
    Attempt{"SOCK_PACKET", SYS_socket, {AF_INET, SOCK_PACKET, 3}, EPERM},
    Attempt{"AF_PACKET", SYS_socket, {AF_PACKET, SOCK_DGRAM, 0}, EPERM},
    Attempt{"AF_PACKET, high half set", SYS_socket, {kHigh | AF_PACKET, SOCK_RAW, 0}, EPERM},
    Attempt{"SCTP", SYS_socket, {AF_INET, SOCK_STREAM, IPPROTO_SCTP}, EAFNOSUPPORT},
    Attempt{"SCTP one to many", SYS_socket, {AF_INET, SOCK_SEQPACKET, IPPROTO_SCTP}, EAFNOSUPPORT},
    Attempt{"MPTCP", SYS_socket, {AF_INET, SOCK_STREAM, 262}, EAFNOSUPPORT},
    Attempt{"AF_ALG", SYS_socket, {AF_ALG, SOCK_SEQPACKET, 0}, EAFNOSUPPORT},
    Attempt{"AF_VSOCK", SYS_socket, {AF_VSOCK, SOCK_STREAM, 0}, EAFNOSUPPORT},
    Attempt{"AF_XDP", SYS_socket, {AF_XDP, SOCK_RAW, 0}, EAFNOSUPPORT},
    Attempt{"AF_TIPC pair", SYS_socketpair, {AF_TIPC, SOCK_STREAM, 0}, EAFNOSUPPORT},
    Attempt{"Unix pair reaches the kernel", SYS_socketpair, {AF_UNIX, SOCK_STREAM, 0, 0}, EFAULT},
};

constexpr unsigned long kNobody = 0xffffffffU;
constexpr unsigned long kOwn = kAppUid;

// A build's are the kernel's to judge: these reach it, and change nothing.
const std::array kIdentityOfABuild = {
    Attempt{"setuid", SYS_setuid, {kNobody}, EINVAL},
    Attempt{"setgid", SYS_setgid, {kNobody}, EINVAL},
    Attempt{"setresuid", SYS_setresuid, {kNobody, kNobody, kNobody}, 0},
    Attempt{"chown", SYS_chown, {0}, EFAULT},
    Attempt{"fchown", SYS_fchown, {kNobody}, EBADF},
    Attempt{"chroot", SYS_chroot, {0}, EFAULT},
    Attempt{"tee", SYS_tee, {kNobody, kNobody, 1}, EBADF},
};

constexpr unsigned long kLast = kUidsPerTenant - 1;
constexpr unsigned long kBeyond = kUidsPerTenant;

// Archives have owners of other systems. No file can have one that the container's id map lacks: the kernel refuses it
// before it looks at anything else, and tar and npm end there. So the filter answers, without a change.
const std::array kOwnersOfABuild = {
    Attempt{"chown to the last id", SYS_chown, {0, kLast, kLast}, EFAULT},
    Attempt{"chown to nobody else", SYS_chown, {0, kNobody, kNobody}, EFAULT},
    Attempt{"chown as a long, to nobody else", SYS_chown, {0, ~0UL, ~0UL}, EFAULT},
    Attempt{"chown of the group alone", SYS_chown, {0, kNobody, kLast}, EFAULT},
    Attempt{"chown of the user alone", SYS_lchown, {0, kLast, kNobody}, EFAULT},
    Attempt{"chown to a user beyond the map", SYS_chown, {0, kBeyond, 5}, 0},
    Attempt{"chown to a group beyond the map", SYS_chown, {0, 5, kBeyond}, 0},
    Attempt{"chown to both beyond the map", SYS_lchown, {0, 1'000'000'000, 4'000'000'000}, 0},
    Attempt{"chown to a user beyond the map alone", SYS_lchown, {0, kBeyond, kNobody}, 0},
    Attempt{"chown to a group beyond the map alone", SYS_lchown, {0, kNobody, kBeyond}, 0},
    Attempt{"chown to the id before 'leave it'", SYS_chown, {0, kNobody - 1, 0}, 0},
    Attempt{"chown within the map, high halves set", SYS_chown, {0, kHigh | kLast, kHigh | 1}, EFAULT},
    Attempt{"chown to nobody else, high halves set", SYS_chown, {0, kHigh | kNobody, kHigh | kNobody}, EFAULT},
    Attempt{"chown beyond the map, high halves set", SYS_chown, {0, kHigh | kBeyond, kHigh}, 0},
    Attempt{"fchown within the map", SYS_fchown, {kNobody, kLast, kLast}, EBADF},
    Attempt{"fchown beyond the map", SYS_fchown, {kNobody, kBeyond, 0}, 0},
    Attempt{"fchownat within the map", SYS_fchownat, {kNobody, 0, kLast, kLast, 0}, EFAULT},
    Attempt{"fchownat to nobody else", SYS_fchownat, {kNobody, 0, kNobody, kNobody, 0}, EFAULT},
    Attempt{"fchownat to a user beyond the map", SYS_fchownat, {kNobody, 0, kBeyond, kNobody, 0}, 0},
    Attempt{"fchownat to a group beyond the map", SYS_fchownat, {kNobody, 0, 0, kBeyond, 0}, 0},
};

// An app's id is one for good, so the filter gives the kernel's answer: nobody asks whether the one who asks is root.
const std::array kIdentityOfAnApp = {
    Attempt{"setuid to the own", SYS_setuid, {kOwn}, 0},
    Attempt{"setuid to the own, high half set", SYS_setuid, {kHigh | kOwn}, 0},
    Attempt{"setgid to the own", SYS_setgid, {kOwn}, 0},
    Attempt{"setreuid to the own", SYS_setreuid, {kOwn, kNobody}, 0},
    Attempt{"setregid to the own", SYS_setregid, {kNobody, kOwn}, 0},
    Attempt{"setresuid to the own", SYS_setresuid, {kOwn, kOwn, kOwn}, 0},
    Attempt{"setresgid to the own", SYS_setresgid, {kNobody, kOwn, kHigh | kNobody}, 0},
    Attempt{"setuid to root", SYS_setuid, {0}, EPERM},
    Attempt{"setgid to root", SYS_setgid, {0}, EPERM},
    Attempt{"setreuid to root", SYS_setreuid, {kOwn, 0}, EPERM},
    Attempt{"setregid to root", SYS_setregid, {0, kOwn}, EPERM},
    Attempt{"setresuid to root in part", SYS_setresuid, {kOwn, kOwn, 0}, EPERM},
    Attempt{"setresgid to another in part", SYS_setresgid, {kOwn, kOwn + 1, kOwn}, EPERM},
    Attempt{"setgroups", SYS_setgroups, {0, 0}, EPERM},
    Attempt{"chroot", SYS_chroot, {0}, EPERM},
    Attempt{"personality", SYS_personality, {kNobody}, 0},
    Attempt{"mlockall", SYS_mlockall, {1}, ENOMEM},
    Attempt{"munlockall", SYS_munlockall, {}, 0},
    Attempt{"readahead", SYS_readahead, {kNobody}, 0},
};

// These reach the kernel, which finds a bad descriptor or address in what they ask.
const std::array kOrdinary = {
    Attempt{"capset", SYS_capset, {0, 0}, EFAULT},
    Attempt{"chown", SYS_chown, {0}, EFAULT},
    Attempt{"lchown", SYS_lchown, {0}, EFAULT},
    Attempt{"fchown", SYS_fchown, {kNobody}, EBADF},
    Attempt{"fchownat", SYS_fchownat, {kNobody, 0}, EFAULT},
    Attempt{"creat", SYS_creat, {0}, EFAULT},
    Attempt{"openat2", SYS_openat2, {kNobody, 0, 0, 0}, EINVAL},
    Attempt{"getdents", SYS_getdents, {kNobody}, EBADF},
    Attempt{"getdents64", SYS_getdents64, {kNobody}, EBADF},
    Attempt{"utime", SYS_utime, {0}, EFAULT},
    Attempt{"utimes", SYS_utimes, {0}, EFAULT},
    Attempt{"futimesat", SYS_futimesat, {kNobody, 0}, EBADF},
    Attempt{"syncfs", SYS_syncfs, {kNobody}, EBADF},
    Attempt{"sync_file_range", SYS_sync_file_range, {kNobody}, EBADF},
    Attempt{"preadv2", SYS_preadv2, {kNobody}, EBADF},
    Attempt{"pwritev2", SYS_pwritev2, {kNobody}, EBADF},
    Attempt{"msgctl", SYS_msgctl, {kNobody, 0}, EINVAL},
    Attempt{"mq_unlink", SYS_mq_unlink, {0}, EFAULT},
    Attempt{"mq_timedsend", SYS_mq_timedsend, {kNobody}, EBADF},
    Attempt{"inotify_init", SYS_inotify_init, {}, 0},
    Attempt{"eventfd", SYS_eventfd, {0}, 0},
    Attempt{"signalfd", SYS_signalfd, {kNobody, 0, 8}, EFAULT},
    Attempt{"sched_getparam", SYS_sched_getparam, {kNobody, 1}, EINVAL},
    Attempt{"sched_setscheduler", SYS_sched_setscheduler, {kNobody}, EINVAL},
    Attempt{"ioprio_get", SYS_ioprio_get, {0}, EINVAL},
    Attempt{"ioprio_set", SYS_ioprio_set, {0}, EINVAL},
    Attempt{"mincore", SYS_mincore, {1}, EINVAL},
    Attempt{"sendto", SYS_sendto, {kNobody, 0, 0, 0}, EBADF},
    Attempt{"a socket's option", SYS_setsockopt, {kNobody, SOL_SOCKET, SO_REUSEADDR}, EBADF},
    Attempt{"an option 26 that is TCP's", SYS_setsockopt, {kNobody, IPPROTO_TCP, SO_ATTACH_FILTER}, EBADF},
    Attempt{"sendto MSG_OOB", SYS_sendto, {kNobody, 0, 0, MSG_OOB}, EOPNOTSUPP},
    Attempt{"recvfrom MSG_OOB, high half set", SYS_recvfrom, {kNobody, 0, 0, kHigh | MSG_OOB}, EOPNOTSUPP},
    Attempt{"sendmsg MSG_OOB among others", SYS_sendmsg, {kNobody, 0, MSG_OOB | MSG_NOSIGNAL}, EOPNOTSUPP},
    Attempt{"recvmsg MSG_OOB", SYS_recvmsg, {kNobody, 0, MSG_OOB}, EOPNOTSUPP},
    Attempt{"sendmmsg MSG_OOB", SYS_sendmmsg, {kNobody, 0, 0, MSG_OOB}, EOPNOTSUPP},
    Attempt{"SO_ATTACH_FILTER", SYS_setsockopt, {kNobody, SOL_SOCKET, SO_ATTACH_FILTER}, ENOPROTOOPT},
    Attempt{"SO_ATTACH_FILTER, high halves set",
            SYS_setsockopt,
            {0, kHigh | SOL_SOCKET, kHigh | SO_ATTACH_FILTER},
            ENOPROTOOPT},
    Attempt{"mq_notify", SYS_mq_notify, {kNobody}, ENOSYS},
    Attempt{"seccomp", SYS_seccomp, {1}, ENOSYS},
    Attempt{"PR_SET_SECUREBITS", SYS_prctl, {PR_SET_SECUREBITS}, EPERM},
};

void expectAll(Confinement confinement, std::span<const Attempt> attempts) {
  const auto filter = filterOf(confinement);
  ASSERT_FALSE(filter.empty());
  for (const auto& one : attempts) {
    const Ending ending = runFiltered(filter, [&] { return attempt(one); });
    ASSERT_TRUE(ending.set) << one.name;
    EXPECT_EQ(ending.signal, 0) << one.name;
    EXPECT_EQ(ending.code, one.error) << profileFor(confinement).name << ": " << one.name;
  }
}

class EveryClass : public testing::TestWithParam<Confinement> {};

TEST_P(EveryClass, answersAsDocumentedWhateverTheHighHalves) {
  expectAll(GetParam(), kEverywhere);
}

// int 0x80 enters the 32-bit table: getpid is 20 there.
int getpidOfI386() {
  long result = 0;
  __asm__ volatile("int $0x80" : "=a"(result) : "a"(20) : "memory", "r8", "r9", "r10", "r11");
  return result > 0 ? 0 : 1;
}

TEST_P(EveryClass, killsTheI386Abi) {
  const std::vector<sock_filter> everything = {{BPF_RET | BPF_K, 0, 0, SECCOMP_RET_ALLOW}};
  if (runFiltered(everything, getpidOfI386).signal == SIGSEGV) GTEST_SKIP() << "needs a kernel with the i386 ABI";
  const Ending ending = runFiltered(filterOf(GetParam()), getpidOfI386);
  EXPECT_EQ(ending.signal, SIGSYS) << "exit " << ending.code;
}

TEST_P(EveryClass, killsTheX32Abi) {
  constexpr long kX32 = 0x40000000;
  const Ending ending = runFiltered(filterOf(GetParam()), [] { return errnoOf(kX32 | SYS_getpid); });
  EXPECT_EQ(ending.signal, SIGSYS) << "exit " << ending.code;
}

TEST_P(EveryClass, lets_cloister_init_do_its_work) {
  const Ending ending = runFiltered(filterOf(GetParam()), [] {
    sigset_t all;
    sigfillset(&all);
    if (::sigprocmask(SIG_SETMASK, &all, nullptr) != 0) return 1;
    const pid_t child = ::fork();
    if (child < 0) return 2;
    if (child == 0) {
      if (::setsid() < 0) ::_exit(10);
      if (::ioctl(0, TIOCSCTTY, 0) != 0 && errno != ENOTTY && errno != EPERM) ::_exit(11);
      if (::dup3(0, 60, O_CLOEXEC) < 0 && errno != EBADF) ::_exit(12);
      sigset_t none;
      sigemptyset(&none);
      ::sigprocmask(SIG_SETMASK, &none, nullptr);
      ::execl("/bin/sh", "sh", "-c", "echo alive | grep -q alive && exit 7", nullptr);
      ::_exit(13);
    }
    siginfo_t info{};
    if (::sigwaitinfo(&all, &info) != SIGCHLD) return 3;
    int status = 0;
    if (::waitpid(-1, &status, WNOHANG) != child) return 4;
    if (::prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) != 0 || ::prctl(PR_SET_NAME, "init", 0, 0, 0) != 0) return 5;
    if (::kill(0, 0) != 0) return 6;
    return WIFEXITED(status) ? 100 + WEXITSTATUS(status) : 99;
  });
  EXPECT_EQ(ending.code, 107) << "signal " << ending.signal;
}

TEST_P(EveryClass, letsThreadsStart) {
  const Ending ending = runFiltered(filterOf(GetParam()), [] {
    int seen = 0;
    std::thread([&] { seen = 42; }).join();
    return seen;
  });
  EXPECT_EQ(ending.code, 42) << "signal " << ending.signal;
}

INSTANTIATE_TEST_SUITE_P(Seccomp, EveryClass,
                         testing::Values(Confinement::app, Confinement::build, Confinement::exec, Confinement::freeze),
                         [](const auto& instance) { return std::string(profileFor(instance.param).name); });

TEST(SeccompApp, makesOnlyOrdinarySockets) {
  expectAll(Confinement::app, kSockets);
}
TEST(SeccompExec, makesOnlyOrdinarySockets) {
  expectAll(Confinement::exec, kSockets);
}
TEST(SeccompBuild, makesOnlyOrdinarySockets) {
  expectAll(Confinement::build, kSockets);
}

TEST(SeccompApp, listsInterfacesAsLibcDoes) {
  for (const auto confinement : {Confinement::app, Confinement::exec, Confinement::build}) {
    const Ending ending = runFiltered(filterOf(confinement), [] {
      ifaddrs* addresses = nullptr;
      if (::getifaddrs(&addresses) != 0 || addresses == nullptr) return 1;
      ::freeifaddrs(addresses);
      struct if_nameindex* names = ::if_nameindex();
      if (names == nullptr || names->if_name == nullptr) return 2;
      return ::if_nametoindex(names->if_name) == names->if_index ? 0 : 3;
    });
    EXPECT_EQ(ending.code, 0) << profileFor(confinement).name << ": signal " << ending.signal;
  }
}

TEST(SeccompFreeze, makesNoSocketAtAll) {
  for (const int family : {AF_UNIX, AF_INET, AF_INET6, AF_NETLINK}) {
    const Ending ending =
        runFiltered(filterOf(Confinement::freeze), [&] { return errnoOf(SYS_socket, family, SOCK_DGRAM, 0); });
    EXPECT_EQ(ending.code, EAFNOSUPPORT) << family;
  }
}

TEST(SeccompBuild, changesIdentityAndOwnersAsDpkgDoes) {
  expectAll(Confinement::build, kIdentityOfABuild);
}

TEST(SeccompBuild, hearsSuccessForOwnersBeyondItsIds) {
  expectAll(Confinement::build, kOwnersOfABuild);
}

TEST(SeccompApp, staysWhoItIsAndMayBecomeThat) {
  expectAll(Confinement::app, kIdentityOfAnApp);
  expectAll(Confinement::exec, kIdentityOfAnApp);
}

TEST(SeccompApp, doesWhatAnOrdinaryUserMay) {
  for (const auto confinement : {Confinement::app, Confinement::exec, Confinement::build}) {
    expectAll(confinement, kOrdinary);
  }
}

TEST(SeccompFreeze, changesNoIdentityAndNoOwner) {
  for (const long number : {SYS_setuid, SYS_setgid, SYS_setresuid, SYS_setresgid, SYS_setgroups, SYS_chown, SYS_fchown,
                            SYS_msgget, SYS_mq_open, SYS_setxattr}) {
    EXPECT_EQ(runFiltered(filterOf(Confinement::freeze), [&] { return errnoOf(number, kOwn, kOwn, kOwn); }).code, EPERM)
        << number;
  }
}

}  // namespace
}  // namespace cloister::policy
