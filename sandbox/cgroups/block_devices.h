// Which block devices a directory's bytes lie on, as cgroup controllers name them: "major:minor" of whole disks.
//
// Threads: reentrant. Failures: a directory that lies on no block device (tmpfs, overlay, network) has none: an empty
// list, no failure.
#pragma once

#include <string>
#include <vector>

namespace cloister::cgroups {

[[nodiscard]] std::vector<std::string> backingDevices(const std::string& directory);

}  // namespace cloister::cgroups
