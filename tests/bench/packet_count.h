// PacketCount: the IP bytes that one end of a link sends and receives, as a packet socket of its own network namespace
// sees them: the peer's own count.
//
// The length is that of the IP packet, headers included, without the link's; a segmented (GSO) packet is one. What it
// counts is told apart by the other end's address. Threads: one of its own reads; totals() may be called by any.
// Failures: std::runtime_error for a link that cannot be watched; lost() says how many packets the socket dropped.
#pragma once

#include <sys/types.h>

#include <atomic>
#include <cstdint>
#include <functional>
#include <map>
#include <mutex>
#include <string>
#include <thread>

#include "sandbox/base/identity.h"
#include "sandbox/base/unique_fd.h"

namespace cloister::bench {

struct Bytes {
  std::uint64_t sent = 0;
  std::uint64_t received = 0;
  Bytes& operator+=(const Bytes& other) {
    sent += other.sent;
    received += other.received;
    return *this;
  }
};

class PacketCount {
 public:
  // Of `link` in the network namespace of `pid`; only what `near` sends or receives, if it is not 0.
  PacketCount(pid_t pid, const std::string& link, Ipv4 near = 0);
  ~PacketCount();
  PacketCount(const PacketCount&) = delete;
  PacketCount& operator=(const PacketCount&) = delete;

  // Sum over the other ends that `chosen` takes.
  [[nodiscard]] Bytes with(const std::function<bool(Ipv4)>& chosen);
  [[nodiscard]] unsigned lost() const;

 private:
  void run();

  UniqueFd socket_;
  Ipv4 near_;
  std::mutex mutex_;
  std::map<Ipv4, Bytes> byPeer_;
  std::atomic<bool> stopping_{false};
  std::thread thread_;
};

// Calls `act` in a thread that is in the network namespace of `pid`; its exception comes out here.
void inNamespaceOf(pid_t pid, const std::function<void()>& act);

}  // namespace cloister::bench
