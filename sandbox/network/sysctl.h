// Kernel settings of the current network namespace, through /proc/sys/net.
//
// Threads: reentrant; the namespace is the calling thread's. Failures: Error{stage "network", "sysctl", path, errno}.
#pragma once

#include <string>
#include <string_view>

#include "sandbox/base/result.h"

namespace cloister::network {

// Writes `value` unless it is there already: some settings have effects on being written.
[[nodiscard]] Status setSysctl(const std::string& path, std::string_view value);
// A link of ours on the host: no IPv6 address or router advertisement, ARP only for the link's own addresses, no
// redirects and no loopback addresses from it. Call it before the link is up. A kernel without IPv6 needs none of the
// former.
[[nodiscard]] Status quietLink(const std::string& name);
// No IPv6 on `name`. Good when the kernel has none.
[[nodiscard]] Status disableIpv6(const std::string& name);

}  // namespace cloister::network
