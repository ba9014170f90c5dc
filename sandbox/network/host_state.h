// What the kernel holds of tenants' networks: links are the truth for what exists, elements for what is let through.
//
// Threads: as the sockets. Failures: Error{stage "network", operation, object, errno}; what was read until then stays.
#pragma once

#include <map>
#include <optional>
#include <set>

#include "sandbox/base/launcher_protocol.h"
#include "sandbox/network/elements.h"
#include "sandbox/network/netlink_socket.h"
#include "sandbox/network/rules_builder.h"

namespace cloister::network {

struct Tenant {
  int bridge = 0;        // 0: its link is gone
  int upload = 0;        // the device behind uploadName(); 0: no rate
  bool counted = false;  // has elements in the tenant and byte sets
  std::optional<launcher::Egress> egress;
  Traffic traffic;            // what a replaced table had counted
  std::uint64_t dropped = 0;  // packets, when last read
};

struct Host {
  std::map<TenantIndex, Tenant> tenants;
  std::set<Ipv4> sources;
};

// `linked`: the addresses whose links are there.
[[nodiscard]] Status readLinks(Socket& route, Host& host, std::set<Ipv4>& linked);
[[nodiscard]] Status readTraffic(Socket& netfilter, Family family, Counter Traffic::*sent, Counter Traffic::*received,
                                 Host& host);
// Sources, egress and external traffic.
[[nodiscard]] Status readElements(Socket& netfilter, Host& host);
// Packets over their rates, of the tenants that have one.
[[nodiscard]] Status readDropped(Socket& route, Host& host);

}  // namespace cloister::network
