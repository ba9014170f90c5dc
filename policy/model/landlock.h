// What Landlock allows of the container's file tree, on top of modes and mounts.
//
// Data by confinement class and kernel ABI; sandbox/launcher applies it after the pivot. Landlock denies what is handled and
// not allowed, so a right that an ABI does not know is neither.
// Threads and failures: pure functions.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "sandbox/base/launcher_protocol.h"

namespace cloister::policy {

struct LandlockPath {
  std::string path;      // may be absent in an image
  std::uint64_t access;  // LANDLOCK_ACCESS_FS_* bits
};
struct LandlockRules {
  std::uint64_t handled = 0;
  std::vector<LandlockPath> paths;
};

// `abi` >= 1. No class may make device nodes anywhere. An app and an exec write only where an app has business:
// /app /tmp /var /run /home /srv /opt /dev and its own /proc entries.
[[nodiscard]] LandlockRules landlockRules(launcher::Confinement confinement, int abi);

}  // namespace cloister::policy
