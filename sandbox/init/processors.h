// The processors that a container sees: as many as its limit has room for, numbered from 0.
//
// Its processes run on whichever of the host's are free, and the quota bounds their sum; a fixed set would leave a
// container beside a busy neighbour while others idle. So what programs count is answered (sched_getaffinity(2); its
// /sys and /proc have the same number), and a program that pins itself to processor i of its own gets one of the
// host's: another one in each container, so that not all of them meet on the host's first. Threads: init's one.
// Failures: a length or mask that the kernel would refuse is refused as it would.
#pragma once

namespace cloister {

// 1 at least.
[[nodiscard]] unsigned long shownProcessors();

inline constexpr unsigned kMaskBytes = 128;  // of a container's own masks: 1,024 processors
struct Mask {
  unsigned char bytes[kMaskBytes];
};
inline constexpr int kKernelsAnswer = -4096;  // no error number: the container sees all of the host's processors

// Both answer as the system call does: a negative error number, or what it returns. `thread`: as this pid namespace
// numbers it; `length`: of the caller's mask, of which `mask` has the first kMaskBytes.
[[nodiscard]] int answerGetAffinity(int thread, unsigned length, Mask& mask);
[[nodiscard]] int answerSetAffinity(int thread, const Mask& mask);

}  // namespace cloister
