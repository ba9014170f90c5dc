// Where the cgroup hierarchies of this machine are mounted, read from mountinfo(5).
//
// unified: one cgroup2 mount with all controllers. hybrid: cgroup v1 mounts of cpu, cpuacct, memory and pids (blkio
// where it is), some perhaps mounted together, and a cgroup2 mount beside them. Threads: values and pure functions.
// Failures: Error{stage "cgroup", operation, path, errno}; ENOTSUP names what is missing.
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "sandbox/cgroups/cgroups.h"

namespace cloister::cgroups {

struct Mount {
  std::string path;
  std::vector<launcher::DescriptorKind> kinds;  // `unified` alone for cgroup2
};

struct MountLayout {
  Layout layout = Layout::unified;
  std::vector<Mount> mounts;  // the cgroup2 mount first
};

[[nodiscard]] Result<MountLayout> parseMountInfo(std::string_view mountinfo);

// How a group's directory comes and goes. On cgroupfs mkdir brings the control files and rmdir takes them; a tree of
// ordinary files needs a hand for both.
class Directories {
 public:
  virtual ~Directories() = default;
  // As mkdirat(2) and unlinkat(2) with AT_REMOVEDIR: 0, or -1 and errno.
  [[nodiscard]] virtual int make(int parent, const char* name);
  [[nodiscard]] virtual int remove(int parent, const char* name);
};

// Tree::open with a layout and block devices ("major:minor") that are already known.
[[nodiscard]] Result<std::unique_ptr<Tree>> openTree(const MountLayout& layout, const std::string& root,
                                                     std::vector<std::string> devices,
                                                     std::unique_ptr<Directories> directories);

}  // namespace cloister::cgroups
