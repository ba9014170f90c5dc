// The files of a container's /proc that tell of its present, and who keeps them true.
//
// They lie in a tmpfs and belong to cloister-init's user; the container has them under /proc, read-only. The first
// cloister-init of the container holds each open for writing under a write lease (fcntl(2), F_SETLEASE): whoever opens
// one waits until init has been told, has written what is true now and has let the lease go. So a reader sees the
// present, and a container in which nobody reads costs no time at all. What init reads for it are files of the
// container's own groups, which the launcher opened; it can open no other.
// Threads and failures: constants.
#pragma once

namespace cloister {

enum class LiveView { memory, load, times, uptime, paging };
inline constexpr int kLiveViews = 5;
// Below /proc, in the order of LiveView.
inline constexpr const char* kLiveViewNames[kLiveViews] = {"meminfo", "loadavg", "stat", "uptime", "vmstat"};

enum class LiveSource {
  memoryUse,     // memory.current, or memory.usage_in_bytes of version 1
  memoryKinds,   // memory.stat of either
  processorUse,  // cpu.stat of the unified group
};
inline constexpr int kLiveSources = 3;

// Where the container's first cloister-init finds them, views before sources; the others find none open.
inline constexpr int kFirstLiveDescriptor = 8;
inline constexpr int kLiveDescriptors = kLiveViews + kLiveSources;

// The processors that a container sees: one file of its /sys, "0-3\n".
inline constexpr const char* kProcessorsFile = "/sys/devices/system/cpu/possible";

// sched_getaffinity(2) and sched_setaffinity(2) with a mask of this many bytes go to the kernel: cloister-init's own
// questions, of a length that no C library uses. All others are answered by it (policy/model/answered_calls.h).
inline constexpr unsigned kKernelMaskBytes = 1'032;

}  // namespace cloister
