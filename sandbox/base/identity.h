// Names and numbers that every room shares: tenant indexes, the uid range and the addresses derived from them, instance
// ids and digests, with their syntax checks.
//
// A tenant index is given once by the control plane's durable allocator and never reused while anything of its owner is
// left. Everything else on a host follows from it, so two tenants cannot share a uid, a bridge or an address:
//   uids      kUidBase + index * 65536 .. + 65535
//   subnet    10.128.0.0/9, one /24 an index: .0 network, .1 bridge (host), .2-.254 instances
//   links     bridge "cl<index>", host ends "cv<index>-<octet>"; device group = index
// Threads and failures: pure functions.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace cloister {

using TenantIndex = std::uint32_t;

inline constexpr TenantIndex kFirstTenant = 1;
inline constexpr TenantIndex kLastTenant = 30'000;
inline constexpr std::uint32_t kUidBase = 1U << 19U;
inline constexpr std::uint32_t kUidsPerTenant = 65'536;
// uid and gid, inside a container, of every app process ("app" in the base image's passwd).
inline constexpr std::uint32_t kAppUid = 1000;

[[nodiscard]] constexpr bool validTenant(TenantIndex tenant) {
  return tenant >= kFirstTenant && tenant <= kLastTenant;
}
[[nodiscard]] constexpr std::uint32_t firstUid(TenantIndex tenant) {
  return kUidBase + tenant * kUidsPerTenant;
}

// IPv4 addresses are host-order 32-bit numbers everywhere inside Cloister.
using Ipv4 = std::uint32_t;
[[nodiscard]] constexpr Ipv4 subnetOf(TenantIndex tenant) {
  return (10U << 24U) + (128U << 16U) + (tenant << 8U);
}
[[nodiscard]] constexpr Ipv4 gatewayOf(TenantIndex tenant) {
  return subnetOf(tenant) + 1;
}
[[nodiscard]] constexpr bool ownsAddress(TenantIndex tenant, Ipv4 address) {
  return address > gatewayOf(tenant) && address < subnetOf(tenant) + 255;
}
// Where containers find the host's DNS forwarder.
inline constexpr Ipv4 kDnsAddress = (169U << 24U) + (254U << 16U) + (1U << 8U) + 1U;

[[nodiscard]] std::string formatIpv4(Ipv4 address);
// 0 when `text` is no dotted quad.
[[nodiscard]] Ipv4 parseIpv4(std::string_view text);

[[nodiscard]] std::string bridgeName(TenantIndex tenant);
[[nodiscard]] std::string hostLinkName(Ipv4 address);

// A DNS label (RFC 1123, lower case): 1-63 of [a-z0-9-], no hyphen at an end. Tenant, app and process names.
[[nodiscard]] bool validLabel(std::string_view text);
// An instance or build id: 1-40 of [a-z0-9-], no leading hyphen. It becomes part of cgroup and directory names.
[[nodiscard]] bool validInstanceId(std::string_view text);
// 64 lower-case hexadecimal digits: the SHA-256 of the bytes that it names.
[[nodiscard]] bool validDigest(std::string_view text);

}  // namespace cloister
