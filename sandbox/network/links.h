// Links, addresses, neighbours and routes of the namespace a Socket (NETLINK_ROUTE) belongs to.
//
// add... functions append to a batch that the caller sends; the others send by themselves.
// Threads: as the socket. Failures: Error{stage "network", operation, object, errno}.
#pragma once

#include <string>
#include <vector>

#include "sandbox/base/identity.h"
#include "sandbox/network/netlink_socket.h"

namespace cloister::network {

struct Link {
  int index = 0;
  std::string name;
  std::uint32_t group = 0;
};

// One message of the kernel's; false when it is about no link.
[[nodiscard]] bool parseLink(std::uint16_t type, std::string_view payload, Link& link);
// ENODEV when there is none.
[[nodiscard]] Result<Link> getLink(Socket& route, const std::string& name);
[[nodiscard]] Result<std::vector<Link>> listLinks(Socket& route);
// Good when it is gone already.
[[nodiscard]] Status removeLink(Socket& route, const std::string& name);

// The tenant's bridge, down, with the MAC of its gateway address: no spanning tree, no multicast snooping, and no
// learning from link-local frames, which pass the bridge without meeting its filter.
void addBridge(Batch& batch, TenantIndex tenant);
// The pair of one instance in one message: the host's end, down, in `bridge` and the tenant's group; "eth0" in `netns`.
void addPair(Batch& batch, TenantIndex tenant, Ipv4 address, int bridge, int netns);
void addShaper(Batch& batch, TenantIndex tenant);  // the device behind uploadName()
void addUp(Batch& batch, const std::string& name);
void addUp(Batch& batch, int index);

enum class Scope { host, global };
void addAddress(Batch& batch, int index, Ipv4 address, unsigned prefix, Scope scope);
void addLinkLocal6(Batch& batch, int index);  // fe80::1/128
void addRemoveAddress(Batch& batch, int index, Ipv4 address, unsigned prefix);
void addNeighbour(Batch& batch, int index, Ipv4 address);
void addRemoveNeighbour(Batch& batch, int index, Ipv4 address);
void addDefaultRoute(Batch& batch, int index, Ipv4 gateway);

}  // namespace cloister::network
