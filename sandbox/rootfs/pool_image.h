// The file system of the pool: a copy of an empty ext4 image, below one loop device.
//
// A device that an earlier launcher attached to the copy and that a container still uses is used again, because two
// devices over one file would be two caches that contradict each other. Without one, nothing of the copy is wanted, and
// a new one takes its place.
// Threads: not shared; one launcher a pool. Failures: Error{stage "pool", "loop" or "mount", operation, path, errno}.
// Preconditions: CAP_SYS_ADMIN.
#pragma once

#include <cstdint>
#include <string>

#include "sandbox/base/result.h"
#include "sandbox/base/unique_fd.h"

namespace cloister::rootfs {

// A detached mount. EINVAL "mount ext4 with project quotas": this kernel was built without them.
[[nodiscard]] Result<UniqueFd> mountPool(const std::string& image, std::uint64_t attributes);
// Deletes the copy; what uses it goes on.
[[nodiscard]] Status discardPool(const std::string& image);

}  // namespace cloister::rootfs
