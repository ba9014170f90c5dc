// What Cloister's own long-lived processes take from themselves at start, whoever started them.
//
// Nobody may trace or dump the process, no execve gains anything, no capability is left but `keep`, and `filter` stands
// before every system call. None of it can be taken back. Threads: call once, before the first thread: a filter binds
// the thread that installs it and those that it starts. Failures: Error{stage "confine", operation, path, errno}; the
// process must not go on. An empty filter is one.
#pragma once

#include <linux/filter.h>

#include <span>

#include "sandbox/base/result.h"

namespace cloister::process {

[[nodiscard]] Status confineSelf(std::span<const unsigned> keep, std::span<const sock_filter> filter);

}  // namespace cloister::process
