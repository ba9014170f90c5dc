// System calls with a history of holes that no app needs: bpf, perf, userfaultfd, io_uring and their like.
#include <linux/bpf.h>
#include <linux/filter.h>
#include <linux/perf_event.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/uio.h>

#include "attack.h"

#define SYS_cachestat_number 451

int main(void) {
  union bpf_attr map = {.map_type = BPF_MAP_TYPE_ARRAY, .key_size = 4, .value_size = 8, .max_entries = 1};
  refused(syscall(SYS_bpf, BPF_MAP_CREATE, &map, sizeof map), "bpf: a map");
  const struct bpf_insn program[] = {{.code = 0xb7, .imm = 0}, {.code = 0x95}};
  union bpf_attr load = {.prog_type = BPF_PROG_TYPE_SOCKET_FILTER, .insn_cnt = 2};
  load.insns = (__u64)(size_t)program;
  load.license = (__u64)(size_t) "GPL";
  refused(syscall(SYS_bpf, BPF_PROG_LOAD, &load, sizeof load), "bpf: a program");
  struct perf_event_attr event = {.type = PERF_TYPE_SOFTWARE, .size = sizeof event, .exclude_kernel = 1};
  refused(syscall(SYS_perf_event_open, &event, 0, -1, -1, 0), "perf_event_open, self");
  refused(syscall(SYS_perf_event_open, &event, -1, 0, -1, 0), "perf_event_open, a core");
  refused(syscall(SYS_userfaultfd, 1), "userfaultfd");  // UFFD_USER_MODE_ONLY
  char ring[256] = {0};                                 // struct io_uring_params
  refused(syscall(SYS_io_uring_setup, 8, ring), "io_uring_setup");
  refused(syscall(SYS_io_uring_enter, 0, 1, 0, 0, NULL, 0), "io_uring_enter");
  refused(syscall(SYS_io_uring_register, 0, 0, NULL, 0), "io_uring_register");
  unsigned long context = 0;
  refused(syscall(SYS_io_setup, 1, &context), "io_setup");
  refused(syscall(SYS_fanotify_init, 0, 0), "fanotify_init");
  refused(syscall(SYS_fanotify_init, 0x200, 0), "fanotify_init for an ordinary user");  // FAN_REPORT_FID
  refused(syscall(SYS_lookup_dcookie, 0UL, ring, sizeof ring), "lookup_dcookie");
  refused(syscall(SYS_modify_ldt, 0, ring, sizeof ring), "modify_ldt");
  refused(syscall(SYS_uselib, "/bin/sh"), "uselib");
  refused(syscall(SYS_kcmp, getpid(), getpid(), 0, 0, 0), "kcmp");
  struct iovec piece = {ring, sizeof ring};
  refused(syscall(SYS_vmsplice, 1, &piece, 1UL, 0), "vmsplice");
  refused(syscall(SYS_process_madvise, -1, &piece, 1UL, 4, 0), "process_madvise");
  refused(syscall(SYS_memfd_secret, 0), "memfd_secret");
  refused(syscall(SYS_seccomp, 1UL, 8UL, NULL), "a filter with a listener");  // SECCOMP_FILTER_FLAG_NEW_LISTENER
  refused(syscall(SYS_personality, 0x0040000UL), "personality without address randomisation");
  struct sock_filter pass = {0x06, 0, 0, 0xffffffffU};
  const struct sock_fprog filter = {1, &pass};
  int pair[2];
  if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) == 0) {
    refused(send(pair[0], "x", 1, MSG_OOB), "urgent data on a Unix socket");
    refused(setsockopt(pair[0], SOL_SOCKET, SO_ATTACH_FILTER, &filter, sizeof filter), "a program on a socket");
  }
  refused(syscall(SYS_mq_notify, 0, NULL), "mq_notify");
  refused(syscall(SYS_cachestat_number, 0, ring, ring, 0), "cachestat");
  return verdict();
}
