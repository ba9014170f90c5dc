#include "sandbox/network/host_state.h"

#include <algorithm>
#include <utility>

#include "sandbox/network/addresses.h"
#include "sandbox/network/links.h"
#include "sandbox/network/ruleset.h"
#include "sandbox/network/shaping.h"

namespace cloister::network {

Status readLinks(Socket& route, Host& host, std::set<Ipv4>& linked) {
  auto links = listLinks(route);
  if (!links) return links.error();
  for (const Link& link : links.value()) {
    const TenantIndex tenant = tenantOfBridge(link.name);
    if (tenant != 0 && link.group == tenant) host.tenants[tenant].bridge = link.index;
    const Ipv4 address = addressOfHostLink(link.name);
    if (address != 0 && link.group != 0) linked.insert(address);
    if (validTenant(link.group) && link.name == uploadName(link.group)) host.tenants[link.group].upload = link.index;
  }
  return {};
}

Status readTraffic(Socket& netfilter, Family family, Counter Traffic::*sent, Counter Traffic::*received, Host& host) {
  for (const auto& [set, counter] : {std::pair{kBytesSent, sent}, {kBytesReceived, received}}) {
    auto counters = readCounters(netfilter, family, set);
    if (!counters) return counters.error();
    for (const auto& [tenant, value] : counters.value()) {
      host.tenants[tenant].counted = true;
      host.tenants[tenant].traffic.*counter = value;
    }
  }
  return {};
}

Status readElements(Socket& netfilter, Host& host) {
  auto sources = readSources(netfilter);
  if (!sources) return sources.error();
  host.sources.insert(sources->begin(), sources->end());
  auto egress = readEgress(netfilter);
  if (!egress) return egress.error();
  for (const auto& [tenant, policy] : egress.value()) host.tenants[tenant].egress = policy;
  return readTraffic(netfilter, Family::inet, &Traffic::externalSent, &Traffic::externalReceived, host);
}

Status readDropped(Socket& route, Host& host) {
  const bool any =
      std::any_of(host.tenants.begin(), host.tenants.end(), [](const auto& entry) { return entry.second.upload != 0; });
  if (!any) return {};
  const auto drops = readDrops(route);
  if (!drops) return drops.error();
  for (auto& [index, tenant] : host.tenants) {
    if (tenant.upload == 0) continue;
    tenant.dropped = 0;
    for (const int device : {tenant.bridge, tenant.upload}) {
      if (const auto found = drops->find(device); found != drops->end()) tenant.dropped += found->second;
    }
  }
  return {};
}

}  // namespace cloister::network
