// A tenant's network rate, in both directions, as token buckets over all of its instances together.
//
// To the tenant: tbf on its bridge device. From the tenant: what the bridge hands up to the host is redirected to an
// ifb device "cl<index>-up" with a tbf of its own. Packets between instances of one tenant are switched and not shaped.
// Threads: as the socket. Failures: Error{stage "network", operation, object, errno}; a kernel without tbf, ifb, u32 or
// mirred fails a rate that is not zero.
#pragma once

#include "sandbox/network/links.h"

namespace cloister::network {

// Sets, changes or (0) takes away the rate. Idempotent.
[[nodiscard]] Status shape(Socket& route, TenantIndex tenant, int bridge, std::uint64_t bitsPerSecond);

}  // namespace cloister::network
