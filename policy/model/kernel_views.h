// What a container sees of the kernel: which entries of /proc stay, which are the container's own files, what it sees
// but cannot change. /sys has the processors and nothing else.
//
// An allow-list: every other entry that this kernel has at the top of /proc, known to us or not, is covered: a file by
// one that nobody may open, a directory by an empty one, so that what programs look for in it is absent. A file cannot
// be made absent: a mount is what covers it, and procfs hides all such entries or none (its option subset=pid). LXCFS
// was left after looking at it: a root daemon that parses each tenant's reads, whose end turns /proc/meminfo of every
// container into ENOTCONN until it is launched again, and seven FUSE mounts a container. Files written at launch cost
// one tmpfs page each and cannot fail later; those that tell of the present are written anew by cloister-init at the
// moment that somebody opens them (sandbox/base/live_views.h). Refusing sysinfo(2) was left too: glibc's
// sysconf(_SC_PHYS_PAGES) then returns what lay on the stack (a Java heap of 7 GiB, a negative number of pages). So
// cloister-init answers it, see answered_calls.h.
//
// Data, applied by sandbox/rootfs. Threads and failures: constants.
#pragma once

#include <array>

namespace cloister::policy {

struct KernelView {
  const char* path;
  const char* reason;
};

// Entries of /proc that a container sees as the kernel has them; processes and links to them besides.
inline constexpr std::array kKeptEntries = {
    KernelView{"filesystems", "libselinux and mount ask which types the kernel has; nothing of this host"},
    KernelView{"locks", "the kernel shows those of the own pid namespace"},
    KernelView{"mounts", "a link to the process's own"},
    KernelView{"net", "a link to the own network namespace"},
    KernelView{"self", "the process itself"},
    KernelView{"sys", "settings that programs read; read-only, see kReadOnlyPaths"},
    KernelView{"sysvipc", "of the own ipc namespace"},
    KernelView{"thread-self", "the thread itself"},
};

// Entries whose text is Cloister's: from the container's limits, and where it tells of use, from its control groups.
inline constexpr std::array kOwnEntries = {
    KernelView{"cpuinfo", "as many processors as the container may use"},
    KernelView{"diskstats", "the host's disks; a container has none"},
    KernelView{"loadavg", "the neighbours' load; instead, the processors that the container has in use on average"},
    KernelView{"meminfo", "the memory that the container may use, and uses"},
    KernelView{"stat", "the neighbours' CPU time, interrupts and forks; the container's time is there"},
    KernelView{"swaps", "the host's swap; a container sees none"},
    KernelView{"sys/fs/file-nr", "how many files all tenants hold; the limit stays"},
    KernelView{"sys/kernel/core_pattern", "a program of the host and its path"},
    KernelView{"sys/kernel/random/boot_id", "an identity of the host, by which tenants could tell that they share it"},
    KernelView{"uptime", "the host's idle time; instead, that of the container's processors"},
    KernelView{"version", "who built the kernel, and where"},
    KernelView{"vmstat", "the neighbours' paging; instead, the container's pages and faults"},
};

inline constexpr std::array kReadOnlyPaths = {
    KernelView{"sys", "kernel settings, core_pattern and modprobe among them"},
};

// Settings below /proc/sys that tell of the host and of nothing that a program needs: covered, as other entries are,
// with an empty file of mode 0.
inline constexpr std::array kCoveredSettings = {
    KernelView{"sys/fs/dentry-state", "the host's caches"},
    KernelView{"sys/fs/inode-nr", "the host's caches"},
    KernelView{"sys/fs/inode-state", "the host's caches"},
    KernelView{"sys/kernel/pty/nr", "how many terminals all tenants hold"},
};

}  // namespace cloister::policy
