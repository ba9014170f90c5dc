// Trash: a directory whose contents are to go, however many and however deep, and the process that deletes them.
//
// A tenant leaves what it likes: a directory of a million files, a path longer than PATH_MAX, links to anywhere. So
// nothing is walked recursively and nothing is followed. One level is deleted at a time: files are unlinked,
// directories in it are moved up into the trash itself, and then it is empty. At most two directories are open,
// whatever the depth, and what a crash leaves is trash like any other.
//
//   <trash>/<clock>-<n>   what was thrown away, or a directory that was found in it
//
// Threads: Trash belongs to one single-threaded process, which forks. Failures: Error{stage "trash", operation, path,
// errno}. Preconditions: CAP_DAC_OVERRIDE and CAP_CHOWN where others own what is deleted.
#pragma once

#include <string>

#include "sandbox/base/process.h"
#include "sandbox/base/result.h"
#include "sandbox/base/unique_fd.h"

namespace cloister::rootfs {

// Empties the directory. What cannot be deleted stays and is the failure.
[[nodiscard]] Status emptyTrash(int trash);

class Trash {
 public:
  // `directory`: of an existing one on the file system whose files will be thrown away.
  explicit Trash(UniqueFd directory) : directory_(std::move(directory)) {}

  // Takes `name` out of the directory `from`, in one rename.
  [[nodiscard]] Status take(int from, const std::string& name);
  // Has a process beside the caller delete what is there; starts it when there is none.
  [[nodiscard]] Status wake();

 private:
  [[nodiscard]] Status start();

  UniqueFd directory_;
  UniqueFd bell_;  // its other end is read by the deleting process, which ends with us
};

}  // namespace cloister::rootfs
