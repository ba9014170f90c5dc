// Landlock: the three system calls, by descriptor.
//
// Threads: restrictSelf() binds the calling thread and its later children for ever. Failures: Error{stage "landlock",
// ...}. Preconditions: restrictSelf() needs no_new_privs or CAP_SYS_ADMIN.
#pragma once

#include <cstdint>

#include "sandbox/base/result.h"
#include "sandbox/base/unique_fd.h"

namespace cloister::landlock {

// The kernel's ABI version, 0 when it has no Landlock (or it is off).
[[nodiscard]] int abi();
// `handled`: LANDLOCK_ACCESS_FS_* bits that are denied unless a rule allows them.
[[nodiscard]] Result<UniqueFd> createRuleset(std::uint64_t handled);
// Allows `access` beneath `path` (O_PATH). Rights that only make sense for directories are left out for a file.
[[nodiscard]] Status addPathBeneath(int ruleset, int path, std::uint64_t access);
[[nodiscard]] Status restrictSelf(int ruleset);

}  // namespace cloister::landlock
