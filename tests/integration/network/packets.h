// Frames as a hostile container's root would write them, and a sniffer at a link.
#pragma once

#include <string>

#include "sandbox/base/unique_fd.h"
#include "sandbox/network/addresses.h"

namespace cloister::network::test {

inline constexpr Mac kBroadcast{0xff, 0xff, 0xff, 0xff, 0xff, 0xff};

[[nodiscard]] std::string ethernet(const Mac& to, const Mac& from, std::uint16_t type, const std::string& payload);
[[nodiscard]] std::string udp4(Ipv4 from, Ipv4 to, std::uint16_t port, const std::string& payload);
// A request for `target` in which `senderMac` claims `senderIp`.
[[nodiscard]] std::string arp(const Mac& senderMac, Ipv4 senderIp, Ipv4 target);
// An IPv6 UDP packet without extension headers, from fe80::<lowest byte 0xaa>.
[[nodiscard]] std::string udp6(const std::string& destination, std::uint16_t port, const std::string& payload);

// Writes the frame as it is to link `name` of the namespace.
void inject(const UniqueFd& netns, const char* name, const std::string& frame);

// All frames that reach link `name` of the namespace (as received, not as sent by it), from now on.
class Sniffer {
 public:
  Sniffer(const UniqueFd& netns, const char* name);
  // Whether a frame with `needle` in it comes within `milliseconds`.
  [[nodiscard]] bool sees(const std::string& needle, int milliseconds);

 private:
  UniqueFd socket_;
};

}  // namespace cloister::network::test
