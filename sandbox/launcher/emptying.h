// Emptying: waits until the killed processes of a group are gone, then removes it.
//
// Threads: the launcher's one. Failures: ETIMEDOUT when they are still there after kPatience; the first Error of a try.
#pragma once

#include <functional>
#include <string>

#include "sandbox/launcher/pending.h"

namespace cloister::launcher {

// `events`: cgroup.events of the group, if it is still there. `attempt` removes the group and says whether that was
// done, `release` what comes then.
[[nodiscard]] Outcome empty(std::string what, UniqueFd events, std::function<Result<bool>()> attempt,
                            std::function<Status()> release);

}  // namespace cloister::launcher
