// Kernel counters: files that are read again and again through a kept descriptor, the boot clock and the use of a
// file system.
//
// Threads: all functions are reentrant. Failures: Error{stage "counters", operation, path, errno}; a group that is
// gone shows as ENODEV or ENOENT.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "sandbox/base/result.h"
#include "sandbox/base/unique_fd.h"

namespace cloister::counters {

// The file's text from its start, at most `capacity` bytes, into `buffer`; the view lies in the buffer.
[[nodiscard]] Result<std::string_view> readAgain(int fd, char* buffer, std::size_t capacity);

// CLOCK_BOOTTIME in nanoseconds: counts suspended time, never steps.
[[nodiscard]] std::uint64_t bootNanos();
// CLOCK_REALTIME in microseconds since the epoch.
[[nodiscard]] std::int64_t utcMicros();
// /proc/sys/kernel/random/boot_id, without the newline.
[[nodiscard]] Result<std::string> bootId();

// Of the file system that `fd` (O_PATH suffices) lies on. Full: no byte or no inode is left for who is not root there.
struct DiskUse {
  std::uint64_t bytes = 0;
  bool full = false;
};
[[nodiscard]] Result<DiskUse> diskUse(int fd);
[[nodiscard]] Result<UniqueFd> duplicate(int fd);
// Inode number of what `fd` names.
[[nodiscard]] Result<std::uint64_t> inodeOf(int fd);

}  // namespace cloister::counters
