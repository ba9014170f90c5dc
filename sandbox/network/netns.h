// Work inside another network namespace, in a thread of its own that enters it and ends there; the caller never leaves
// its own.
//
// Threads: any; `work` runs while the caller waits. Failures: Error{stage "network", operation, object, errno}.
// Preconditions: CAP_SYS_ADMIN over the namespace's owner.
#pragma once

#include <functional>

#include "sandbox/base/identity.h"
#include "sandbox/base/result.h"

namespace cloister::network {

[[nodiscard]] Status inNamespace(int netns, const std::function<Status()>& work);

// Both run inside the namespace (in `work`). loopback: lo up. container: also eth0's address, default route over the
// gateway, and the gateway as a permanent neighbour; no IPv6 on eth0.
[[nodiscard]] Status configureLoopback();
[[nodiscard]] Status configureContainer(Ipv4 address, Ipv4 gateway);

}  // namespace cloister::network
