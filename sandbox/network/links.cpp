#include "sandbox/network/links.h"

#include <arpa/inet.h>
#include <linux/if_bridge.h>
#include <linux/if_link.h>
#include <linux/neighbour.h>
#include <linux/rtnetlink.h>
#include <linux/veth.h>
#include <net/if.h>

#include <cerrno>
#include <cstring>

#include "sandbox/network/addresses.h"

namespace cloister::network {
namespace {

constexpr std::uint16_t kCreate = NLM_F_ACK | NLM_F_CREATE | NLM_F_EXCL;
constexpr std::uint16_t kReplace = NLM_F_ACK | NLM_F_CREATE | NLM_F_REPLACE;

ifinfomsg anyLink(int index = 0) {
  ifinfomsg info{};
  info.ifi_family = AF_UNSPEC;
  info.ifi_index = index;
  return info;
}

std::string_view viewOf(const Mac& mac) {
  return bytesOf(mac);
}

void addUpOf(Batch& batch, const ifinfomsg& link, const std::string& name) {
  ifinfomsg info = link;
  info.ifi_flags = IFF_UP;
  info.ifi_change = IFF_UP;
  batch.begin(RTM_NEWLINK, NLM_F_ACK, "set the link up");
  batch.header(info);
  if (!name.empty()) batch.text(IFLA_IFNAME, name);
}

void address(Batch& batch, std::uint16_t type, std::uint16_t flags, const char* label, int index, Ipv4 address,
             unsigned prefix, Scope scope) {
  ifaddrmsg info{};
  info.ifa_family = AF_INET;
  info.ifa_prefixlen = static_cast<std::uint8_t>(prefix);
  info.ifa_scope = scope == Scope::host ? RT_SCOPE_HOST : RT_SCOPE_UNIVERSE;
  info.ifa_index = static_cast<std::uint32_t>(index);
  batch.begin(type, flags, label);
  batch.header(info);
  batch.put(IFA_LOCAL, wireOf(address));
  batch.put(IFA_ADDRESS, wireOf(address));
}

void neighbour(Batch& batch, std::uint16_t type, std::uint16_t flags, const char* label, int index, Ipv4 address) {
  ndmsg info{};
  info.ndm_family = AF_INET;
  info.ndm_ifindex = index;
  info.ndm_state = NUD_PERMANENT;
  batch.begin(type, flags, label);
  batch.header(info);
  batch.put(NDA_DST, wireOf(address));
  batch.put(NDA_LLADDR, viewOf(macOf(address)));
}

}  // namespace

bool parseLink(std::uint16_t type, std::string_view payload, Link& link) {
  ifinfomsg info{};
  if (type != RTM_NEWLINK || payload.size() < sizeof info) return false;
  std::memcpy(&info, payload.data(), sizeof info);
  const Attributes attributes(payload.substr(sizeof info));
  link.index = info.ifi_index;
  link.name = readText(attributes.find(IFLA_IFNAME));
  link.group = 0;
  (void)readU32(attributes.find(IFLA_GROUP), link.group);
  return true;
}

Result<Link> getLink(Socket& route, const std::string& name) {
  Batch batch;
  batch.begin(RTM_GETLINK, NLM_F_ACK, "find the link");
  batch.header(anyLink());
  batch.text(IFLA_IFNAME, name);
  Link link;
  auto done = route.send(
      batch, name, [&link](std::uint16_t type, std::string_view payload) { (void)parseLink(type, payload, link); });
  if (!done) return done.error();
  if (link.index <= 0) return failure("find the link", name, EPROTO);
  return link;
}

Result<std::vector<Link>> listLinks(Socket& route) {
  constexpr int kTries = 8;
  Status done;
  for (int attempt = 0; attempt < kTries; ++attempt) {
    std::vector<Link> links;
    Batch batch;
    batch.begin(RTM_GETLINK, NLM_F_DUMP, "list the links");
    batch.header(anyLink());
    done = route.dump(batch, "", [&links](std::uint16_t type, std::string_view payload) {
      Link link;
      if (parseLink(type, payload, link)) links.push_back(std::move(link));
    });
    if (done) return links;
    if (done.error().code != EAGAIN) break;
  }
  return done.error();
}

Status removeLink(Socket& route, const std::string& name) {
  Batch batch;
  batch.begin(RTM_DELLINK, NLM_F_ACK, "delete the link");
  batch.header(anyLink());
  batch.text(IFLA_IFNAME, name);
  auto done = route.send(batch, name);
  if (!done && done.error().code == ENODEV) return {};
  return done;
}

void addBridge(Batch& batch, TenantIndex tenant) {
  batch.begin(RTM_NEWLINK, kCreate, "create the bridge");
  batch.header(anyLink());
  batch.text(IFLA_IFNAME, bridgeName(tenant));
  batch.put(IFLA_ADDRESS, viewOf(macOf(gatewayOf(tenant))));
  batch.u32(IFLA_GROUP, tenant);
  const auto info = batch.nest(IFLA_LINKINFO);
  batch.text(IFLA_INFO_KIND, "bridge");
  const auto data = batch.nest(IFLA_INFO_DATA);
  batch.u32(IFLA_BR_STP_STATE, 0);
  batch.u8(IFLA_BR_MCAST_SNOOPING, 0);
  const br_boolopt_multi options{1U << BR_BOOLOPT_NO_LL_LEARN, 1U << BR_BOOLOPT_NO_LL_LEARN};
  batch.put(IFLA_BR_MULTI_BOOLOPT, bytesOf(options));
  batch.close(data);
  batch.close(info);
}

void addPair(Batch& batch, TenantIndex tenant, Ipv4 address, int bridge, int netns) {
  batch.begin(RTM_NEWLINK, kCreate, "create the pair of links");
  batch.header(anyLink());
  batch.text(IFLA_IFNAME, hostLinkName(address));
  batch.u32(IFLA_MASTER, static_cast<std::uint32_t>(bridge));
  batch.u32(IFLA_GROUP, tenant);
  const auto info = batch.nest(IFLA_LINKINFO);
  batch.text(IFLA_INFO_KIND, "veth");
  const auto data = batch.nest(IFLA_INFO_DATA);
  const auto peer = batch.nest(VETH_INFO_PEER);
  batch.header(anyLink());
  batch.text(IFLA_IFNAME, "eth0");
  batch.put(IFLA_ADDRESS, viewOf(macOf(address)));
  batch.u32(IFLA_NET_NS_FD, static_cast<std::uint32_t>(netns));
  batch.close(peer);
  batch.close(data);
  batch.close(info);
}

void addShaper(Batch& batch, TenantIndex tenant) {
  batch.begin(RTM_NEWLINK, kCreate, "create the upload shaper");
  batch.header(anyLink());
  batch.text(IFLA_IFNAME, uploadName(tenant));
  batch.u32(IFLA_GROUP, tenant);
  const auto info = batch.nest(IFLA_LINKINFO);
  batch.text(IFLA_INFO_KIND, "ifb");
  batch.close(info);
}

void addUp(Batch& batch, const std::string& name) {
  addUpOf(batch, anyLink(), name);
}
void addUp(Batch& batch, int index) {
  addUpOf(batch, anyLink(index), {});
}

void addAddress(Batch& batch, int index, Ipv4 value, unsigned prefix, Scope scope) {
  address(batch, RTM_NEWADDR, kReplace, "add the address", index, value, prefix, scope);
}
void addLinkLocal6(Batch& batch, int index) {
  static const std::string kAddress = std::string("\xfe\x80", 2) + std::string(13, '\0') + '\x01';
  ifaddrmsg info{};
  info.ifa_family = AF_INET6;
  info.ifa_prefixlen = 128;
  info.ifa_scope = RT_SCOPE_LINK;
  info.ifa_index = static_cast<std::uint32_t>(index);
  batch.begin(RTM_NEWADDR, kReplace, "add the IPv6 address");
  batch.header(info);
  batch.put(IFA_LOCAL, kAddress);
  batch.put(IFA_ADDRESS, kAddress);
}
void addRemoveAddress(Batch& batch, int index, Ipv4 value, unsigned prefix) {
  address(batch, RTM_DELADDR, NLM_F_ACK, "remove the address", index, value, prefix, Scope::host);
}
void addNeighbour(Batch& batch, int index, Ipv4 value) {
  neighbour(batch, RTM_NEWNEIGH, kReplace, "add the neighbour", index, value);
}
void addRemoveNeighbour(Batch& batch, int index, Ipv4 value) {
  neighbour(batch, RTM_DELNEIGH, NLM_F_ACK, "remove the neighbour", index, value);
}

void addDefaultRoute(Batch& batch, int index, Ipv4 gateway) {
  rtmsg info{};
  info.rtm_family = AF_INET;
  info.rtm_table = RT_TABLE_MAIN;
  info.rtm_protocol = RTPROT_STATIC;
  info.rtm_scope = RT_SCOPE_UNIVERSE;
  info.rtm_type = RTN_UNICAST;
  batch.begin(RTM_NEWROUTE, kReplace, "add the default route");
  batch.header(info);
  batch.put(RTA_GATEWAY, wireOf(gateway));
  batch.u32(RTA_OIF, static_cast<std::uint32_t>(index));
}

}  // namespace cloister::network
