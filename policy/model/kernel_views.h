// What of /proc a container does not see, and what it sees but cannot change. /sys is not there at all.
//
// Data, applied by sandbox/rootfs. Paths are absolute; one that a kernel lacks needs no cover.
// Threads and failures: constants.
#pragma once

#include <array>

namespace cloister::policy {

struct KernelView {
  const char* path;
  const char* reason;
};

inline constexpr std::array kMaskedPaths = {
    KernelView{"/proc/acpi", "firmware tables and events of the host"},
    KernelView{"/proc/asound", "the host's sound devices"},
    KernelView{"/proc/config.gz", "what the kernel was built with: a map for an attacker"},
    KernelView{"/proc/interrupts", "a timing side channel on the neighbours' work"},
    KernelView{"/proc/kallsyms", "kernel addresses"},
    KernelView{"/proc/kcore", "the kernel's memory"},
    KernelView{"/proc/key-users", "key counts of other users"},
    KernelView{"/proc/keys", "descriptions of other users' keys"},
    KernelView{"/proc/kmsg", "the kernel's log"},
    KernelView{"/proc/kpagecgroup", "which group owns a page"},
    KernelView{"/proc/kpagecount", "page reference counts: a side channel on shared pages"},
    KernelView{"/proc/kpageflags", "page states: a side channel on shared pages"},
    KernelView{"/proc/latency_stats", "stack traces of other processes"},
    KernelView{"/proc/modules", "loaded kernel modules"},
    KernelView{"/proc/partitions", "the host's disks"},
    KernelView{"/proc/diskstats", "the neighbours' disk activity"},
    KernelView{"/proc/pagetypeinfo", "physical memory layout"},
    KernelView{"/proc/sched_debug", "names of all processes of the host"},
    KernelView{"/proc/schedstat", "the neighbours' scheduling"},
    KernelView{"/proc/scsi", "the host's disks, and commands to remove them"},
    KernelView{"/proc/slabinfo", "kernel heap layout"},
    KernelView{"/proc/softirqs", "a timing side channel"},
    KernelView{"/proc/swaps", "the host's swap files"},
    KernelView{"/proc/timer_list", "kernel addresses and names of other processes"},
    KernelView{"/proc/timer_stats", "names of other processes"},
    KernelView{"/proc/vmallocinfo", "kernel heap layout"},
    KernelView{"/proc/zoneinfo", "physical memory layout"},
};

inline constexpr std::array kReadOnlyPaths = {
    KernelView{"/proc/bus", "device registers"},
    KernelView{"/proc/fs", "file system settings"},
    KernelView{"/proc/irq", "interrupt affinity"},
    KernelView{"/proc/sys", "kernel settings, core_pattern and modprobe among them"},
    KernelView{"/proc/sysrq-trigger", "reboots the host"},
};

}  // namespace cloister::policy
