// MAC addresses and key bytes that follow from an instance's IPv4 address, and the ranges an egress policy denies.
//
// Every link's MAC is locally administered and carries its address: 02:00 and the four bytes. So it needs no store, no
// two are the same on a host, and neighbours can be permanent. Threads and failures: pure functions.
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <vector>

#include "sandbox/base/identity.h"

namespace cloister::network {

using Mac = std::array<std::uint8_t, 6>;

[[nodiscard]] Mac macOf(Ipv4 address);
// Four bytes in network order.
[[nodiscard]] std::string wireOf(Ipv4 address);
// sixteen bytes, NUL-padded, as meta iifname loads it.
[[nodiscard]] std::string paddedName(const std::string& name);

// "cl<index>" -> index, "cv<index>-<octet>" -> address; 0 for any other name, also for "cl01" or an index out of range.
[[nodiscard]] TenantIndex tenantOfBridge(const std::string& name);
[[nodiscard]] Ipv4 addressOfHostLink(const std::string& name);
// The device that shapes what a tenant sends: "cl<index>-up".
[[nodiscard]] std::string uploadName(TenantIndex tenant);

// Half-open ranges of IPv4 addresses that no tenant may send to: private, shared, loopback, link-local (metadata), test
// equipment, multicast, reserved. In order and disjoint; `end` 0 means to the last address.
struct Range {
  Ipv4 begin = 0;
  Ipv4 end = 0;
};
[[nodiscard]] const std::vector<Range>& deniedRanges();

}  // namespace cloister::network
