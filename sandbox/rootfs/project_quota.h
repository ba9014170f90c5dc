// Project quotas of one directory tree: ext4 counts every file below it for a number, and refuses more than its limits.
//
// The number is inherited by what is made below, and only a process of the first user namespace may change it. Quotas
// bind everybody but holders of CAP_SYS_RESOURCE in that namespace, so a container's root too. statfs(2) on the
// directory answers the limits and what is left of them.
// Threads: reentrant. Failures: Error{stage "quota", operation, path = the project, errno}.
// Preconditions: CAP_SYS_ADMIN; the descriptor is of a directory on ext4 mounted with prjquota, owned by the caller.
#pragma once

#include <cstdint>

#include "sandbox/base/result.h"

namespace cloister::rootfs {

using Project = std::uint32_t;

// Gives a directory a project, for itself and for all that will be made in it.
[[nodiscard]] Status setProject(int directory, Project project);
[[nodiscard]] Result<Project> projectOf(int directory);
// Bytes are rounded up to KiB. Without limits a project that has no file any more is forgotten by the kernel.
[[nodiscard]] Status limitProject(int directory, Project project, std::uint64_t bytes, std::uint64_t inodes);
[[nodiscard]] Status unlimitProject(int directory, Project project);

}  // namespace cloister::rootfs
