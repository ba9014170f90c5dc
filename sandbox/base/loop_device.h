// Loop devices: a block device over a file, which the kernel takes away with its last user.
//
// Threads: reentrant. Failures: Error{stage "loop", operation, path, errno}.
// Preconditions: CAP_SYS_ADMIN; /dev/loop-control.
#pragma once

#include <string>

#include "sandbox/base/result.h"
#include "sandbox/base/unique_fd.h"

namespace cloister::loop {

enum class Access { readOnly, readWrite };

struct Device {
  std::string path;  // "/dev/loop<N>"
  UniqueFd keep;     // as long as this is open and nothing else uses the device, it stays
};

// A device over `file`, which must be open for the same access.
[[nodiscard]] Result<Device> attach(int file, Access access);
// The device that somebody attached to the same file before and that is in use. ENOENT: there is none.
[[nodiscard]] Result<Device> find(int file, Access access);

}  // namespace cloister::loop
