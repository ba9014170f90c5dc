#include "sandbox/network/netns.h"

#include <linux/netlink.h>
#include <sched.h>

#include <cerrno>
#include <system_error>
#include <thread>

#include "sandbox/network/links.h"
#include "sandbox/network/sysctl.h"

namespace cloister::network {
namespace {

// The first link of every namespace.
constexpr int kLoopback = 1;

}  // namespace

Status inNamespace(int netns, const std::function<Status()>& work) {
  Status done;
  try {
    std::thread visitor([&done, &work, netns] {
      done = ::setns(netns, CLONE_NEWNET) == 0 ? work() : Status{failure("setns", "netns", errno)};
    });
    visitor.join();
  } catch (const std::system_error& error) {
    return failure("start a thread", "netns", error.code().value());
  }
  return done;
}

Status configureLoopback() {
  auto route = Socket::open(NETLINK_ROUTE);
  if (!route) return route.error();
  Batch batch;
  addUp(batch, kLoopback);
  return route->send(batch, "lo");
}

Status configureContainer(Ipv4 address, Ipv4 gateway) {
  if (auto done = disableIpv6("eth0"); !done) return done;
  auto route = Socket::open(NETLINK_ROUTE);
  if (!route) return route.error();
  auto link = getLink(route.value(), "eth0");
  if (!link) return link.error();
  Batch batch;
  addUp(batch, kLoopback);
  addAddress(batch, link->index, address, 24, Scope::global);
  addUp(batch, link->index);
  addNeighbour(batch, link->index, gateway);
  addDefaultRoute(batch, link->index, gateway);
  return route->send(batch, "eth0");
}

}  // namespace cloister::network
