#include "sandbox/network/network.h"

#include <linux/netlink.h>

#include <algorithm>
#include <cerrno>
#include <map>
#include <set>
#include <utility>

#include "sandbox/network/elements.h"
#include "sandbox/network/host_state.h"
#include "sandbox/network/links.h"
#include "sandbox/network/ruleset.h"
#include "sandbox/network/shaping.h"
#include "sandbox/network/sysctl.h"

namespace cloister::network {
namespace {

constexpr int kLoopback = 1;

bool familyMissing(const Error& error) {
  return error.code == EOPNOTSUPP || error.code == EAFNOSUPPORT || error.code == EPROTONOSUPPORT;
}

// One transaction: old tables out, the ruleset in, and what exists of tenants into its sets. An unknown egress is
// `none` until the tenant is put again.
Status install(Socket& netfilter, Host& host, const std::set<Ipv4>& linked, Ports ports, bool oldInet, bool oldBridge) {
  Batch batch;
  beginTransaction(batch);
  if (oldInet) addRemoveTable(batch, Family::inet);
  if (oldBridge) addRemoveTable(batch, Family::bridge);
  addRuleset(batch, ports);
  for (auto& [index, tenant] : host.tenants) {
    addTenantElements(batch, Change::add, index, tenant.traffic, ports);
    if (!tenant.egress) tenant.egress = launcher::Egress::none;
    addEgress(batch, Change::add, index, *tenant.egress);
    tenant.counted = true;
  }
  for (const Ipv4 address : linked) addSource(batch, Change::add, address, ports);
  endTransaction(batch);
  if (auto done = netfilter.send(batch, kTable); !done) return done;
  host.sources = linked;
  return {};
}

}  // namespace

struct Network::State {
  State(Socket routeSocket, Socket netfilterSocket)
      : route(std::move(routeSocket)), netfilter(std::move(netfilterSocket)) {}

  Socket route;
  Socket netfilter;
  Host host;
  Ports ports = Ports::pinned;

  [[nodiscard]] Status adoptOrInstall();
  [[nodiscard]] Status makeBridge(TenantIndex index, Tenant& tenant);
  [[nodiscard]] Status putElements(TenantIndex index, Tenant& tenant, launcher::Egress egress);
  [[nodiscard]] Status putRate(TenantIndex index, Tenant& tenant, std::uint64_t bitsPerSecond);
  [[nodiscard]] Status removeElements(TenantIndex index);
  [[nodiscard]] Status makePair(TenantIndex index, Ipv4 address, int bridge, int netns);
  [[nodiscard]] Status pin(Ipv4 address);
  [[nodiscard]] Status unpin(Ipv4 address);
};

Status Network::State::adoptOrInstall() {
  auto inet = readVersion(netfilter, Family::inet);
  if (!inet) return inet.error();
  auto bridge = readVersion(netfilter, Family::bridge);
  if (!bridge) return bridge.error();
  std::set<Ipv4> linked;
  if (inet.value()) {
    auto done = readElements(netfilter, host);
    // A table of another version may lack a set; what it does not tell is made anew.
    if (!done && *inet.value() == rulesetVersion()) return done;
  }
  if (bridge.value()) {
    auto done = readTraffic(netfilter, Family::bridge, &Traffic::internalSent, &Traffic::internalReceived, host);
    if (!done && *bridge.value() == rulesetVersion()) return done;
  }
  if (auto done = readLinks(route, host, linked); !done) return done;
  const bool sameInet = inet.value() && *inet.value() == rulesetVersion();
  const bool sameBridge = bridge.value() && *bridge.value() == rulesetVersion();
  if (sameInet && sameBridge) return {};
  auto done = install(netfilter, host, linked, Ports::pinned, inet->has_value(), bridge->has_value());
  if (done || !familyMissing(done.error())) return done;
  ports = Ports::unsupported;
  if (sameInet) return {};
  return install(netfilter, host, linked, ports, inet->has_value(), false);
}

Status Network::State::makeBridge(TenantIndex index, Tenant& tenant) {
  const std::string name = bridgeName(index);
  if (tenant.bridge == 0) {
    Batch batch;
    addBridge(batch, index);
    auto made = route.send(batch, name);
    if (!made && made.error().code != EEXIST) return made;
    auto link = getLink(route, name);
    if (!link) return link.error();
    if (link->group != index) return failure("create the bridge", name, EEXIST);
    tenant.bridge = link->index;
  }
  if (auto done = quietLink(name); !done) return done;
  Batch batch;
  addAddress(batch, tenant.bridge, gatewayOf(index), 24, Scope::global);
  addUp(batch, tenant.bridge);
  return route.send(batch, name);
}

Status Network::State::putElements(TenantIndex index, Tenant& tenant, launcher::Egress egress) {
  if (tenant.counted && tenant.egress == egress) return {};
  Batch batch;
  beginTransaction(batch);
  if (!tenant.counted) addTenantElements(batch, Change::add, index, {}, ports);
  if (tenant.egress) addEgress(batch, Change::remove, index, *tenant.egress);
  addEgress(batch, Change::add, index, egress);
  endTransaction(batch);
  if (auto done = netfilter.send(batch, bridgeName(index)); !done) return done;
  tenant.counted = true;
  tenant.egress = egress;
  return {};
}

Status Network::State::putRate(TenantIndex index, Tenant& tenant, std::uint64_t bitsPerSecond) {
  std::vector<int> hostEnds;
  if ((bitsPerSecond != 0) != (tenant.upload != 0)) {
    auto links = listLinks(route);
    if (!links) return links.error();
    for (const Link& link : links.value()) {
      if (link.group == index && addressOfHostLink(link.name) != 0) hostEnds.push_back(link.index);
    }
  }
  if (auto done = shape(route, index, tenant.bridge, hostEnds, bitsPerSecond); !done) return done;
  if (bitsPerSecond == 0) {
    tenant.upload = 0;
  } else if (tenant.upload == 0) {
    auto upload = getLink(route, uploadName(index));
    if (!upload) return upload.error();
    tenant.upload = upload->index;
  }
  return {};
}

Status Network::State::removeElements(TenantIndex index) {
  Tenant& tenant = host.tenants[index];
  Batch batch;
  beginTransaction(batch);
  std::vector<Ipv4> sources;
  std::copy_if(host.sources.begin(), host.sources.end(), std::back_inserter(sources),
               [index](Ipv4 address) { return ownsAddress(index, address); });
  for (const Ipv4 address : sources) addSource(batch, Change::remove, address, ports);
  if (tenant.egress) addEgress(batch, Change::remove, index, *tenant.egress);
  if (tenant.counted) addTenantElements(batch, Change::remove, index, {}, ports);
  endTransaction(batch);
  if (auto done = netfilter.send(batch, bridgeName(index)); !done) return done;
  for (const Ipv4 address : sources) host.sources.erase(address);
  tenant.egress.reset();
  tenant.counted = false;

  for (const char* set : {kConnections, kQuestions, kDnsConnections}) {
    Batch entry;  // made by a rule, so perhaps not there
    beginTransaction(entry);
    addForget(entry, set, index);
    endTransaction(entry);
    if (auto done = netfilter.send(entry, bridgeName(index)); !done && done.error().code != ENOENT) return done;
  }
  return {};
}

Status Network::State::makePair(TenantIndex index, Ipv4 address, int bridge, int netns) {
  const auto make = [&] {
    Batch batch;
    addPair(batch, index, address, bridge, netns);
    return route.send(batch, hostLinkName(address));
  };
  auto made = make();
  if (made || made.error().code != EEXIST || host.sources.count(address) != 0) return made;
  // Without a pin it is the link of a namespace whose end the kernel has not worked off yet.
  if (auto removed = removeLink(route, hostLinkName(address)); !removed) return removed;
  return make();
}

Status Network::State::pin(Ipv4 address) {
  Batch batch;
  beginTransaction(batch);
  addSource(batch, Change::add, address, ports);
  endTransaction(batch);
  if (auto done = netfilter.send(batch, hostLinkName(address)); !done) return done;
  host.sources.insert(address);
  return {};
}

Status Network::State::unpin(Ipv4 address) {
  if (host.sources.count(address) == 0) return {};
  Batch batch;
  beginTransaction(batch);
  addSource(batch, Change::remove, address, ports);
  endTransaction(batch);
  auto done = netfilter.send(batch, hostLinkName(address));
  if (!done && done.error().code != ENOENT) return done;
  host.sources.erase(address);
  return {};
}

Network::Network(std::unique_ptr<State> state) : state_(std::move(state)) {}
Network::~Network() = default;

Result<std::unique_ptr<Network>> Network::open() {
  auto route = Socket::open(NETLINK_ROUTE);
  if (!route) return route.error();
  auto netfilter = Socket::open(NETLINK_NETFILTER);
  if (!netfilter) return netfilter.error();
  auto state = std::make_unique<State>(std::move(route).value(), std::move(netfilter).value());
  if (auto done = state->adoptOrInstall(); !done) return done.error();
  Batch batch;
  addAddress(batch, kLoopback, kDnsAddress, 32, Scope::host);
  addUp(batch, kLoopback);
  if (auto done = state->route.send(batch, "lo"); !done) return done.error();
  // By which a rule tells uploads; a kernel without it holds no reset.
  if (auto done = setSysctl("netfilter/nf_conntrack_acct", "1"); !done && done.error().code != ENOENT)
    return done.error();
  // After the filter is in: a host that forwards is one that filters.
  if (auto done = setSysctl("ipv4/ip_forward", "1"); !done) return done.error();
  return std::unique_ptr<Network>(new Network(std::move(state)));
}

Status Network::putTenant(TenantIndex index, std::uint64_t bitsPerSecond, launcher::Egress egress) {
  if (!validTenant(index)) return failure("check the tenant", bridgeName(index), EINVAL);
  const bool known = state_->host.tenants.count(index) != 0;
  Tenant& tenant = state_->host.tenants[index];
  auto done = state_->putElements(index, tenant, egress);
  if (done) done = state_->makeBridge(index, tenant);
  if (done) done = state_->putRate(index, tenant, bitsPerSecond);
  if (!done && !known) (void)removeTenant(index);
  return done;
}

Status Network::removeTenant(TenantIndex index) {
  if (!validTenant(index)) return failure("check the tenant", bridgeName(index), EINVAL);
  auto links = listLinks(state_->route);
  if (!links) return links.error();
  for (const Link& link : links.value()) {
    const bool ours = tenantOfBridge(link.name) == index || link.name == uploadName(index) ||
                      ownsAddress(index, addressOfHostLink(link.name));
    if (!ours || link.group != index) continue;
    if (auto done = removeLink(state_->route, link.name); !done) return done;
  }
  if (auto done = state_->removeElements(index); !done) return done;
  state_->host.tenants.erase(index);
  return {};
}

Status Network::link(TenantIndex index, Ipv4 address, int netns) {
  const std::string name = formatIpv4(address);
  if (!validTenant(index) || !ownsAddress(index, address)) return failure("check the address", name, EINVAL);
  const auto tenant = state_->host.tenants.find(index);
  if (tenant == state_->host.tenants.end() || tenant->second.bridge == 0) {
    return failure("find the tenant's bridge", bridgeName(index), ENOENT);
  }
  const int bridge = tenant->second.bridge;
  const std::string hostEnd = hostLinkName(address);
  if (auto made = state_->makePair(index, address, bridge, netns); !made) return made;
  auto done = disableIpv6(hostEnd);
  if (done) done = state_->pin(address);
  if (done && tenant->second.upload != 0) {
    auto port = getLink(state_->route, hostEnd);
    if (port) {
      Batch batch;
      addUploadHook(batch, index, port->index);
      done = state_->route.send(batch, hostEnd);
    } else {
      done = port.error();
    }
  }
  if (done) {
    Batch batch;
    addUp(batch, hostEnd);
    addNeighbour(batch, bridge, address);
    done = state_->route.send(batch, hostEnd);
  }
  if (done) return {};
  (void)removeLink(state_->route, hostEnd);
  (void)unlink(index, address);
  return done;
}

Status Network::unlink(TenantIndex index, Ipv4 address) {
  if (!validTenant(index) || !ownsAddress(index, address)) {
    return failure("check the address", formatIpv4(address), EINVAL);
  }
  if (auto done = state_->unpin(address); !done) return done;
  const auto tenant = state_->host.tenants.find(index);
  if (tenant == state_->host.tenants.end() || tenant->second.bridge == 0) return {};
  Batch batch;
  addRemoveNeighbour(batch, tenant->second.bridge, address);
  auto done = state_->route.send(batch, hostLinkName(address));
  if (!done && (done.error().code == ENOENT || done.error().code == ENODEV)) return {};
  return done;
}

Result<std::vector<launcher::NetworkUsage>> Network::usage() {
  using launcher::NetworkUsage;
  std::map<TenantIndex, NetworkUsage> all;
  const auto read = [&](Family family, const char* set, std::uint64_t NetworkUsage::*field) -> Status {
    auto counters = readCounters(state_->netfilter, family, set);
    if (!counters) return counters.error();
    for (const auto& [tenant, counter] : counters.value()) {
      all[tenant].tenant = tenant;
      all[tenant].*field = counter.bytes;
    }
    return {};
  };
  auto done = read(Family::inet, kBytesSent, &NetworkUsage::externalSentBytes);
  if (done) done = read(Family::inet, kBytesReceived, &NetworkUsage::externalReceivedBytes);
  if (state_->ports == Ports::pinned) {
    if (done) done = read(Family::bridge, kBytesSent, &NetworkUsage::internalSentBytes);
    if (done) done = read(Family::bridge, kBytesReceived, &NetworkUsage::internalReceivedBytes);
  }
  if (!done) return done.error();
  // Should this fail, what was read last stays: what is billed does not wait for it.
  (void)readDropped(state_->route, state_->host);
  for (auto& [index, usage] : all) {
    const auto known = state_->host.tenants.find(index);
    if (known != state_->host.tenants.end()) usage.droppedPackets = known->second.dropped;
  }
  std::vector<NetworkUsage> list;
  list.reserve(all.size());
  for (const auto& [tenant, usage] : all) list.push_back(usage);
  return list;
}

Status Network::removeAll() {
  auto route = Socket::open(NETLINK_ROUTE);
  if (!route) return route.error();
  auto netfilter = Socket::open(NETLINK_NETFILTER);
  if (!netfilter) return netfilter.error();
  auto links = listLinks(route.value());
  if (!links) return links.error();
  // Links first: without the tables nothing filters them.
  for (const Link& link : links.value()) {
    const bool ours = validTenant(link.group) && (link.name.starts_with("cl") || link.name.starts_with("cv"));
    if (!ours) continue;
    if (auto done = removeLink(route.value(), link.name); !done) return done;
  }
  Batch address;
  addRemoveAddress(address, kLoopback, kDnsAddress, 32);
  if (auto done = route->send(address, "lo"); !done && done.error().code != EADDRNOTAVAIL) return done;
  for (const Family family : {Family::bridge, Family::inet}) {
    auto found = readVersion(netfilter.value(), family);
    if (!found) return found.error();
    if (!found->has_value()) continue;
    Batch batch;
    beginTransaction(batch);
    addRemoveTable(batch, family);
    endTransaction(batch);
    if (auto done = netfilter->send(batch, kTable); !done) return done;
  }
  return {};
}

}  // namespace cloister::network
