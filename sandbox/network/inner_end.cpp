#include "sandbox/network/inner_end.h"

#include <fcntl.h>
#include <linux/netlink.h>

#include <cerrno>
#include <string>
#include <utility>

#include "sandbox/base/files.h"
#include "sandbox/network/links.h"

namespace cloister::network {
namespace {

constexpr int kLoopback = 1;  // the first link of every namespace

}  // namespace

Result<InnerEnd> InnerEnd::prepare(Ipv4 address) {
  auto ip4 = files::openAt(AT_FDCWD, "/proc/sys/net/ipv4", O_PATH | O_DIRECTORY);
  if (!ip4) return failure("open", "ipv4", ip4.error().code);
  UniqueFd ip6;
  if (address != 0) {
    auto settings = files::openAt(AT_FDCWD, "/proc/sys/net/ipv6/conf", O_PATH | O_DIRECTORY);
    if (!settings && settings.error().code != ENOENT) return failure("open", "ipv6/conf", settings.error().code);
    if (settings) ip6 = std::move(settings).value();
  }
  return InnerEnd(address, std::move(ip4).value(), std::move(ip6));
}

Status InnerEnd::configure(Ipv4 gateway) const {
  auto route = Socket::open(NETLINK_ROUTE);
  if (!route) return route.error();
  // Groups as the container's user namespace counts them.
  static const std::string kEveryGroup = "0 " + std::to_string(kUidsPerTenant - 1);
  for (const auto& [setting, value] : {std::pair<std::string_view, std::string_view>{"ip_unprivileged_port_start", "0"},
                                       {"ping_group_range", kEveryGroup}}) {
    auto wrote = files::writeControl(ip4_.get(), setting, value);
    if (!wrote) return failure("sysctl", "ipv4/" + std::string(setting), wrote.error().code);
  }
  Batch batch;
  addUp(batch, kLoopback);
  if (address_ != 0) {
    if (ip6_) {
      auto wrote = files::writeControl(ip6_.get(), "eth0/disable_ipv6", "1");
      if (!wrote) return failure("sysctl", "ipv6/conf/eth0/disable_ipv6", wrote.error().code);
    }
    auto link = getLink(route.value(), "eth0");
    if (!link) return link.error();
    addAddress(batch, link->index, address_, 24, Scope::global);
    addUp(batch, link->index);
    addNeighbour(batch, link->index, gateway);
    addDefaultRoute(batch, link->index, gateway);
  }
  if (auto done = route->send(batch, address_ == 0 ? "lo" : "eth0"); !done) return done;
  return ip6_ ? listenOn6(route.value()) : Status{};
}

Status InnerEnd::listenOn6(Socket& route) const {
  Batch batch;
  addLinkLocal6(batch, kLoopback);
  auto done = route.send(batch, "lo");
  // A host that has IPv6 switched off answers so.
  if (!done && done.error().code == EACCES) return {};
  return done;
}

}  // namespace cloister::network
