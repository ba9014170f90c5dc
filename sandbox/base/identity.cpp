#include "sandbox/base/identity.h"

#include <algorithm>
#include <charconv>

namespace cloister {
namespace {

bool lowerAlnum(char c) {
  return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9');
}
bool labelChar(char c) {
  return lowerAlnum(c) || c == '-';
}

}  // namespace

std::string formatIpv4(Ipv4 address) {
  std::string text;
  for (unsigned shift = 24;; shift -= 8) {
    text += std::to_string((address >> shift) & 0xffU);
    if (shift == 0) return text;
    text += '.';
  }
}

Ipv4 parseIpv4(std::string_view text) {
  Ipv4 address = 0;
  for (int part = 0; part < 4; ++part) {
    unsigned octet = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), octet);
    if (error != std::errc{} || octet > 255) return 0;
    address = (address << 8U) | octet;
    text.remove_prefix(static_cast<std::size_t>(end - text.data()));
    if (part < 3) {
      if (text.empty() || text.front() != '.') return 0;
      text.remove_prefix(1);
    }
  }
  return text.empty() ? address : 0;
}

std::string bridgeName(TenantIndex tenant) {
  return "cl" + std::to_string(tenant);
}

std::string hostLinkName(Ipv4 address) {
  const TenantIndex tenant = (address - subnetOf(0)) >> 8U;
  return "cv" + std::to_string(tenant) + "-" + std::to_string(address & 0xffU);
}

bool validLabel(std::string_view text) {
  return !text.empty() && text.size() <= 63 && text.front() != '-' && text.back() != '-' &&
         std::all_of(text.begin(), text.end(), labelChar);
}

bool validInstanceId(std::string_view text) {
  return !text.empty() && text.size() <= 40 && text.front() != '-' && std::all_of(text.begin(), text.end(), labelChar);
}

bool validDigest(std::string_view text) {
  return text.size() == 64 &&
         std::all_of(text.begin(), text.end(), [](char c) { return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f'); });
}

}  // namespace cloister
