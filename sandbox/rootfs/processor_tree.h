// /sys of a container: how many processors there are and how they sit, and nothing else.
//
// Each processor is a core of its own with one thread, all in one package: as /proc/cpuinfo has them (kernel_views.h).
// hwloc looks for nothing more before it believes /sys, lscpu and psutil count cores so. Each name costs a
// launch some microseconds, so those that newer kernels have beside these are left out. Threads: pure, or the
// single-threaded child. Failures: Error{stage "rootfs", operation, path, errno}.
#pragma once

#include <cstdint>
#include <vector>

#include "sandbox/base/result.h"
#include "sandbox/base/unique_fd.h"
#include "sandbox/rootfs/kernel_views.h"

namespace cloister::rootfs {

// Names below devices/system/cpu; directories come before what is in them.
[[nodiscard]] std::vector<OwnFile> processorFiles(std::uint64_t count);
// A detached mount, read-only.
[[nodiscard]] Result<UniqueFd> makeSys(std::uint64_t processors);

}  // namespace cloister::rootfs
