// A tenant's network rate, in both directions, as token buckets over all of its instances together.
//
// To the tenant: tbf on its bridge device. From the tenant: packets that enter by its ports for anything but its own
// subnet are redirected through an ifb device "cl<index>-up" with a tbf, and come back to their port. The redirection
// stands before the bridge, so connection tracking sees every packet once, with br_netfilter or without. Its filters
// are in one block of the tenant that all of its ports share. Packets between instances of one tenant are switched and
// not shaped. Threads: as the socket. Failures: Error{stage "network", operation, object, errno}; a kernel without tbf,
// ifb, u32 or mirred fails a rate that is not zero.
#pragma once

#include <map>
#include <vector>

#include "sandbox/network/links.h"

namespace cloister::network {

// Sets, changes or (0) takes away the rate. `ports`: the host ends that are there. Idempotent.
[[nodiscard]] Status shape(Socket& route, TenantIndex tenant, int bridge, const std::vector<int>& ports,
                           std::uint64_t bitsPerSecond);
// Packets that the token buckets dropped, by the device that they are on.
[[nodiscard]] Result<std::map<int, std::uint32_t>> readDrops(Socket& route);
// Puts a new port of a tenant that is shaped under the tenant's rate.
void addUploadHook(Batch& batch, TenantIndex tenant, int port);

}  // namespace cloister::network
