#include "packets.h"

#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <linux/if_packet.h>
#include <net/ethernet.h>
#include <net/if.h>
#include <poll.h>
#include <sys/socket.h>

#include <array>
#include <cerrno>
#include <chrono>

#include "world.h"

namespace cloister::network::test {
namespace {

std::string be16(unsigned value) {
  return {static_cast<char>((value >> 8U) & 0xffU), static_cast<char>(value & 0xffU)};
}
std::string text(const Mac& mac) {
  return {mac.begin(), mac.end()};
}

std::string checksum(const std::string& header) {
  std::uint32_t sum = 0;
  for (std::size_t i = 0; i + 1 < header.size(); i += 2) {
    sum += static_cast<std::uint32_t>(static_cast<std::uint8_t>(header[i])) << 8U;
    sum += static_cast<std::uint8_t>(header[i + 1]);
  }
  while (sum >> 16U != 0) sum = (sum & 0xffffU) + (sum >> 16U);
  return be16(~sum & 0xffffU);
}

UniqueFd packetSocket(const UniqueFd& netns, const char* name, int protocol) {
  return UniqueFd(inside(netns, [name, protocol] {
    const int fd = ::socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, 0);
    sockaddr_ll at{};
    at.sll_family = AF_PACKET;
    at.sll_protocol = htons(static_cast<std::uint16_t>(protocol));
    at.sll_ifindex = static_cast<int>(::if_nametoindex(name));
    EXPECT_NE(at.sll_ifindex, 0) << name;
    EXPECT_EQ(::bind(fd, reinterpret_cast<const sockaddr*>(&at), sizeof at), 0);
    return fd;
  }));
}

}  // namespace

std::string ethernet(const Mac& to, const Mac& from, std::uint16_t type, const std::string& payload) {
  return text(to) + text(from) + be16(type) + payload;
}

std::string udp4(Ipv4 from, Ipv4 to, std::uint16_t port, const std::string& payload) {
  const auto length = static_cast<unsigned>(payload.size());
  const std::string head = std::string("\x45\0", 2) + be16(28 + length) + std::string("\0\1\0\0\x40\x11", 6);
  const std::string sum = checksum(head + be16(0) + wireOf(from) + wireOf(to));
  return head + sum + wireOf(from) + wireOf(to) + be16(4000) + be16(port) + be16(8 + length) + be16(0) + payload;
}

std::string arp(const Mac& senderMac, Ipv4 senderIp, Ipv4 target) {
  return be16(1) + be16(ETHERTYPE_IP) + std::string("\6\4\0\1", 4) + text(senderMac) + wireOf(senderIp) +
         std::string(6, '\0') + wireOf(target);
}

std::string udp6(const std::string& destination, std::uint16_t port, const std::string& payload) {
  const auto length = static_cast<unsigned>(8 + payload.size());
  const std::string source = std::string("\xfe\x80", 2) + std::string(13, '\0') + '\xaa';
  return std::string("\x60\0\0\0", 4) + be16(length) + "\x11\x40" + source + destination + be16(4000) + be16(port) +
         be16(length) + be16(0) + payload;
}

void inject(const UniqueFd& netns, const char* name, const std::string& frame) {
  const UniqueFd socket = packetSocket(netns, name, 0);
  EXPECT_EQ(::send(socket.get(), frame.data(), frame.size(), 0), static_cast<ssize_t>(frame.size())) << errno;
}

Sniffer::Sniffer(const UniqueFd& netns, const char* name) : socket_(packetSocket(netns, name, ETH_P_ALL)) {}

bool Sniffer::sees(const std::string& needle, int milliseconds) {
  const auto deadline = std::chrono::steady_clock::now() + std::chrono::milliseconds(milliseconds);
  for (;;) {
    const auto left =
        std::chrono::duration_cast<std::chrono::milliseconds>(deadline - std::chrono::steady_clock::now()).count();
    pollfd wait{socket_.get(), POLLIN, 0};
    if (left <= 0 || ::poll(&wait, 1, static_cast<int>(left)) <= 0) return false;
    std::array<char, 2048> buffer{};
    sockaddr_ll from{};
    socklen_t size = sizeof from;
    const ssize_t got =
        ::recvfrom(socket_.get(), buffer.data(), buffer.size(), 0, reinterpret_cast<sockaddr*>(&from), &size);
    if (got <= 0 || from.sll_pkttype == PACKET_OUTGOING) continue;
    if (std::string(buffer.data(), static_cast<std::size_t>(got)).find(needle) != std::string::npos) return true;
  }
}

}  // namespace cloister::network::test
