// The container's end of its network, configured by the container's own child: inside, and without the launcher
// waiting.
//
// Threads: the child's one. Failures: Error{stage "network", operation, object, errno}. Preconditions: root of the user
// namespace that owns the network namespace; for configure() with an address, Network::link() has made eth0.
#pragma once

#include "sandbox/base/identity.h"
#include "sandbox/base/result.h"
#include "sandbox/base/unique_fd.h"
#include "sandbox/network/netlink_socket.h"

namespace cloister::network {

class InnerEnd {
 public:
  // While /proc/sys can still be written. `address` 0: there is nothing but lo.
  [[nodiscard]] static Result<InnerEnd> prepare(Ipv4 address);

  // Sets lo up, and gives ports below 1024 and echo sockets (ping) to every user of the container, as container engines
  // do: the namespace is the tenant's. With an address also eth0 without IPv6, its address, the default route over the
  // gateway, and the gateway as a permanent neighbour. IPv6 is there on lo alone: ::1, and an address of the link,
  // without which the C library takes it for absent and servers that listen on "[::]" by name do not start.
  [[nodiscard]] Status configure(Ipv4 gateway) const;

 private:
  [[nodiscard]] Status listenOn6(Socket& route) const;

  InnerEnd(Ipv4 address, UniqueFd ip4, UniqueFd ip6) : address_(address), ip4_(std::move(ip4)), ip6_(std::move(ip6)) {}
  Ipv4 address_;
  UniqueFd ip4_;  // net/ipv4
  UniqueFd ip6_;  // net/ipv6/conf; none where the kernel has no IPv6, or without an address
};

}  // namespace cloister::network
