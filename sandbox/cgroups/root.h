// The root group in one hierarchy: its name, its making, and the hand-down of controllers on the unified layout.
//
// Threads: reentrant. Failures: Error{stage "cgroup", operation, path, errno}; a failed makeRoot removes what it made.
#pragma once

#include <string>
#include <vector>

#include "sandbox/cgroups/control_files.h"
#include "sandbox/cgroups/layout.h"

namespace cloister::cgroups {

// "cloister" or "a.slice/b" as its components; EINVAL for anything that is not a plain path below the mount.
[[nodiscard]] Result<std::vector<std::string>> rootComponents(const std::string& root);

// Gives the groups below `group` cpu, memory, pids and, where it is, io. ENOTSUP names the first that the kernel lacks.
[[nodiscard]] Status enableControllers(const Place& group);

// Walks down from the mount, making what is missing; on the unified layout every level hands its controllers down.
// `path` has at least one component.
struct Root {
  UniqueFd parent;
  std::string name;  // below `parent`
  UniqueFd group;
};
[[nodiscard]] Result<Root> makeRoot(const Mount& mount, Layout layout, const std::vector<std::string>& path,
                                    Directories& make);

}  // namespace cloister::cgroups
