#include "sandbox/network/inner_end.h"

#include <fcntl.h>
#include <linux/netlink.h>

#include <cerrno>

#include "sandbox/base/files.h"
#include "sandbox/network/links.h"

namespace cloister::network {
namespace {

constexpr int kLoopback = 1;  // the first link of every namespace

}  // namespace

Result<InnerEnd> InnerEnd::prepare(Ipv4 address) {
  if (address == 0) return InnerEnd(address, UniqueFd());
  auto settings = files::openAt(AT_FDCWD, "/proc/sys/net/ipv6/conf", O_PATH | O_DIRECTORY);
  if (!settings && settings.error().code == ENOENT) return InnerEnd(address, UniqueFd());
  if (!settings) return failure("open", "ipv6/conf", settings.error().code);
  return InnerEnd(address, std::move(settings).value());
}

Status InnerEnd::configure(Ipv4 gateway) const {
  auto route = Socket::open(NETLINK_ROUTE);
  if (!route) return route.error();
  Batch batch;
  addUp(batch, kLoopback);
  if (address_ != 0) {
    if (settings_) {
      auto wrote = files::writeControl(settings_.get(), "eth0/disable_ipv6", "1");
      if (!wrote) return failure("sysctl", "ipv6/conf/eth0/disable_ipv6", wrote.error().code);
    }
    auto link = getLink(route.value(), "eth0");
    if (!link) return link.error();
    addAddress(batch, link->index, address_, 24, Scope::global);
    addUp(batch, link->index);
    addNeighbour(batch, link->index, gateway);
    addDefaultRoute(batch, link->index, gateway);
  }
  return route->send(batch, address_ == 0 ? "lo" : "eth0");
}

}  // namespace cloister::network
