// The descriptor-based mount calls: a file system or a clone of a tree is made detached, shaped, and then attached.
//
// Threads: reentrant. Failures: Error{stage "mount", operation, path, errno}.
// Preconditions: CAP_SYS_ADMIN over the current mount namespace; attach() never follows a symbolic link at its target
// when the caller passes a descriptor opened with files::Resolve::noSymlinks.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "sandbox/base/result.h"
#include "sandbox/base/unique_fd.h"

namespace cloister::mounts {

struct Option {
  std::string key;
  std::string value;  // empty: a flag
};

// Bits of MOUNT_ATTR_*.
inline constexpr std::uint64_t kReadOnly = 0x1;
inline constexpr std::uint64_t kNoSuid = 0x2;
inline constexpr std::uint64_t kNoDev = 0x4;
inline constexpr std::uint64_t kNoExec = 0x8;

// fsopen, fsconfig, fsmount: a new, detached mount.
[[nodiscard]] Result<UniqueFd> make(std::string_view type, const std::vector<Option>& options,
                                    std::uint64_t attributes);
// A detached clone of the mount that `path` (at `dir`; empty: `dir` itself) lies on, rooted at that path.
[[nodiscard]] Result<UniqueFd> clone(int dir, std::string_view path);
// Attaches a detached mount on the directory or file `target` (an O_PATH descriptor).
[[nodiscard]] Status attach(int mount, int target, std::string_view what);
// The same onto `name` below `dir`, where no name is a tenant's choice: our own /proc. Its last component is not
// followed.
[[nodiscard]] Status attachBelow(int mount, int dir, const std::string& name);
// Adds attributes to one mount.
[[nodiscard]] Status restrict(int mount, std::uint64_t attributes);
// Shows the mount's ids through the user namespace `userns`. EINVAL: this file system cannot.
[[nodiscard]] Status idMap(int mount, int userns);
// An overlay at `target`, nosuid and nodev. `options` as in mount(2), because its paths are relative to the current
// directory.
[[nodiscard]] Status overlay(std::string_view target, std::string_view options);
// Makes the whole tree at "/" private to this mount namespace.
[[nodiscard]] Status makePrivate();
[[nodiscard]] Status detach(std::string_view path);
// pivot_root onto the current directory, the old root gone.
[[nodiscard]] Status pivotHere();

}  // namespace cloister::mounts
