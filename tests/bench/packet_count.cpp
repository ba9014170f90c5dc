#include "tests/bench/packet_count.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <net/if.h>
#include <poll.h>
#include <sched.h>
#include <sys/socket.h>

#include <array>
#include <cstring>
#include <exception>
#include <stdexcept>

namespace cloister::bench {
namespace {

constexpr int kBuffer = 64 << 20;
constexpr std::size_t kHeader = 20;  // of IPv4: both addresses are in it

Ipv4 addressAt(const unsigned char* bytes) {
  std::uint32_t network = 0;
  std::memcpy(&network, bytes, sizeof network);
  return ntohl(network);
}

}  // namespace

void inNamespaceOf(pid_t pid, const std::function<void()>& act) {
  std::exception_ptr failed;
  std::thread inside([&] {
    try {
      const UniqueFd netns(::open(("/proc/" + std::to_string(pid) + "/ns/net").c_str(), O_RDONLY | O_CLOEXEC));
      if (!netns || ::setns(netns.get(), CLONE_NEWNET) != 0) throw std::runtime_error("setns failed");
      act();
    } catch (...) {
      failed = std::current_exception();
    }
  });
  inside.join();
  if (failed) std::rethrow_exception(failed);
}

PacketCount::PacketCount(pid_t pid, const std::string& link, Ipv4 near) : near_(near) {
  inNamespaceOf(pid, [this, &link] {
    socket_.reset(::socket(AF_PACKET, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, htons(ETH_P_ALL)));
    sockaddr_ll address{};
    address.sll_family = AF_PACKET;
    address.sll_protocol = htons(ETH_P_ALL);
    address.sll_ifindex = static_cast<int>(::if_nametoindex(link.c_str()));
    if (address.sll_ifindex == 0 ||
        ::setsockopt(socket_.get(), SOL_SOCKET, SO_RCVBUFFORCE, &kBuffer, sizeof kBuffer) != 0 ||
        ::bind(socket_.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0) {
      throw std::runtime_error("cannot watch " + link);
    }
  });
  thread_ = std::thread([this] { run(); });
}

PacketCount::~PacketCount() {
  stopping_ = true;
  thread_.join();
}

void PacketCount::run() {
  while (!stopping_) {
    pollfd ready{socket_.get(), POLLIN, 0};
    if (::poll(&ready, 1, 50) <= 0) continue;
    std::array<unsigned char, kHeader> header{};
    sockaddr_ll from{};
    socklen_t length = sizeof from;
    const ssize_t size =
        ::recvfrom(socket_.get(), header.data(), header.size(), MSG_TRUNC, reinterpret_cast<sockaddr*>(&from), &length);
    if (size < static_cast<ssize_t>(kHeader) || from.sll_protocol != htons(ETH_P_IP)) continue;
    if (from.sll_pkttype == PACKET_OTHERHOST) continue;  // flooded by a bridge that did not know the way yet
    const bool sent = from.sll_pkttype == PACKET_OUTGOING;
    if (near_ != 0 && addressAt(header.data() + (sent ? 12 : 16)) != near_) continue;
    const std::lock_guard lock(mutex_);
    Bytes& bytes = byPeer_[addressAt(header.data() + (sent ? 16 : 12))];
    (sent ? bytes.sent : bytes.received) += static_cast<std::uint64_t>(size);
  }
}

Bytes PacketCount::with(const std::function<bool(Ipv4)>& chosen) {
  const std::lock_guard lock(mutex_);
  Bytes sum;
  for (const auto& [peer, bytes] : byPeer_) {
    if (chosen(peer)) sum += bytes;
  }
  return sum;
}

unsigned PacketCount::lost() const {
  tpacket_stats stats{};
  socklen_t length = sizeof stats;
  if (::getsockopt(socket_.get(), SOL_PACKET, PACKET_STATISTICS, &stats, &length) != 0) return 1;
  return stats.tp_drops;
}

}  // namespace cloister::bench
