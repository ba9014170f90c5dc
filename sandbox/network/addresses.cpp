#include "sandbox/network/addresses.h"

#include <net/if.h>

#include <charconv>

namespace cloister::network {
namespace {

std::uint8_t byteOf(Ipv4 address, unsigned shift) {
  return static_cast<std::uint8_t>((address >> shift) & 0xffU);
}

constexpr Ipv4 quad(Ipv4 a, Ipv4 b, Ipv4 c, Ipv4 d) {
  return (a << 24U) | (b << 16U) | (c << 8U) | d;
}
constexpr Range block(Ipv4 base, unsigned prefix) {
  return {base, base + (1U << (32U - prefix))};
}

}  // namespace

Mac macOf(Ipv4 address) {
  return {0x02, 0x00, byteOf(address, 24), byteOf(address, 16), byteOf(address, 8), byteOf(address, 0)};
}

std::string wireOf(Ipv4 address) {
  std::string bytes;
  for (const unsigned shift : {24U, 16U, 8U, 0U}) bytes += static_cast<char>(byteOf(address, shift));
  return bytes;
}

std::string paddedName(const std::string& name) {
  std::string bytes = name.substr(0, IFNAMSIZ - 1);
  bytes.resize(IFNAMSIZ, '\0');
  return bytes;
}

TenantIndex tenantOfBridge(const std::string& name) {
  if (!name.starts_with("cl")) return 0;
  TenantIndex tenant = 0;
  const auto [end, error] = std::from_chars(name.data() + 2, name.data() + name.size(), tenant);
  if (error != std::errc{} || !validTenant(tenant) || bridgeName(tenant) != name) return 0;
  return tenant;
}

Ipv4 addressOfHostLink(const std::string& name) {
  const auto dash = name.find('-');
  if (!name.starts_with("cv") || dash == std::string::npos) return 0;
  TenantIndex tenant = 0;
  unsigned octet = 0;
  if (std::from_chars(name.data() + 2, name.data() + dash, tenant).ec != std::errc{}) return 0;
  if (std::from_chars(name.data() + dash + 1, name.data() + name.size(), octet).ec != std::errc{}) return 0;
  if (!validTenant(tenant) || octet > 255) return 0;
  const Ipv4 address = subnetOf(tenant) + octet;
  return ownsAddress(tenant, address) && hostLinkName(address) == name ? address : 0;
}

std::string uploadName(TenantIndex tenant) {
  return bridgeName(tenant) + "-up";
}

const std::vector<Range>& deniedRanges() {
  static const std::vector<Range> ranges = {
      block(quad(0, 0, 0, 0), 8),    block(quad(10, 0, 0, 0), 8),     block(quad(100, 64, 0, 0), 10),
      block(quad(127, 0, 0, 0), 8),  block(quad(169, 254, 0, 0), 16), block(quad(172, 16, 0, 0), 12),
      block(quad(192, 0, 0, 0), 24), block(quad(192, 168, 0, 0), 16), block(quad(198, 18, 0, 0), 15),
      block(quad(224, 0, 0, 0), 3),
  };
  return ranges;
}

}  // namespace cloister::network
