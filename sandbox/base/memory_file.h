// Anonymous files in memory, for libraries that only write to a descriptor.
//
// Threads: reentrant. Failures: Error{stage "memory file", operation, path, errno}.
#pragma once

#include <string>
#include <string_view>

#include "sandbox/base/result.h"
#include "sandbox/base/unique_fd.h"

namespace cloister::memory_file {

// memfd_create(2), close-on-exec; `name` shows in /proc/self/fd only.
[[nodiscard]] Result<UniqueFd> make(std::string_view name);
// All bytes from the start, whatever the file position is; at most `limit` (EFBIG beyond).
[[nodiscard]] Result<std::string> contents(int fd, std::size_t limit = 1U << 20U);

}  // namespace cloister::memory_file
