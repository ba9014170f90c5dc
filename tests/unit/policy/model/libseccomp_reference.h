// A profile as libseccomp compiles it: what our own program's verdicts and costs are held against.
//
// libseccomp knows no order among the rules of one call and no "otherwise", so a profile becomes three filters one
// after the other in one program, and the default of each but the last jumps into the next.
// Threads: pure functions. Failures: Error{stage "libseccomp", operation, call, errno}.
#pragma once

#include <linux/filter.h>

#include <vector>

#include "policy/model/seccomp.h"

namespace cloister::policy {

[[nodiscard]] Result<std::vector<sock_filter>> compileWithLibseccomp(const SeccompProfile& profile);

}  // namespace cloister::policy
