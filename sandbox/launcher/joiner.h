// Joiner: a helper process that moves children into their v1 groups.
//
// Joining waits for an RCU grace period, some ten milliseconds on a machine that was idle. Here it passes beside the
// child's own mounts and beside other launches. The helper holds no capability: the kernel asks for those of the
// process that opened cgroup.procs, the launcher. It ends with the launcher, and nothing but descriptors reaches it.
//
// When the child is in all of its groups it reads kJoined from its pipe; a failure is an ExecReport in the launcher's
// pipe, as the child's own failures are. Threads: the launcher's one. Failures: Error{stage "join", ...}; a helper that
// is gone is replaced at the next join.
#pragma once

#include <sys/types.h>

#include <vector>

#include "sandbox/base/result.h"
#include "sandbox/base/unique_fd.h"

namespace cloister::launcher {

inline constexpr char kJoined = 'j';

class Joiner {
 public:
  // `groups`: the groups' cgroup.procs, open for writing. None: the child is told at once. The first call that has some
  // starts the helper.
  [[nodiscard]] Status join(pid_t child, const std::vector<UniqueFd>& groups, int proceed, int report);

 private:
  [[nodiscard]] Status start();
  UniqueFd socket_;
};

}  // namespace cloister::launcher
