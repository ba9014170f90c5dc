// Narrowing: an app's own list of system calls within its class's.
//
// The list is what the app was seen to call, and the floor (policy/profiles/floor.toml). It is compiled into a filter
// of its own that is loaded beside the class's, and of two filters the kernel takes the stricter answer: so whatever
// the list says, nothing is open that the class closes, and what the class refuses nobody is asked about. A call that
// the list lacks waits for cloister-init, who reports it and lets it go on, or answers ENOSYS (sandbox/init/answers.h).
//
// Threads: pure functions on constants. Failures: Error{stage "seccomp"} when the program is longer than the kernel
// takes.
#pragma once

#include <linux/filter.h>

#include <optional>
#include <string_view>
#include <vector>

#include "sandbox/base/call_set.h"
#include "sandbox/base/launcher_protocol.h"
#include "sandbox/base/result.h"

namespace cloister::policy {

// What every narrowed container has.
[[nodiscard]] const CallSet& floorCalls();
// What a class lets through, with or without tests of arguments.
[[nodiscard]] const CallSet& classCalls(launcher::Confinement confinement);
// The name of a call that the class lets through or the floor has; empty for another.
[[nodiscard]] std::string_view callName(unsigned number);
// Its number; none for another name.
[[nodiscard]] std::optional<unsigned> callNumber(std::string_view name);

// Lets the floor and `calls` pass, and seccomp(2), with which the class's filter follows it; sysinfo(2) and the rest go
// to the listener. Numbers of other architectures and those that no call has are left to the class.
[[nodiscard]] Result<std::vector<sock_filter>> narrowingFilter(const CallSet& calls);

}  // namespace cloister::policy
