#include "world.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <linux/if_link.h>
#include <linux/rtnetlink.h>
#include <linux/veth.h>
#include <poll.h>
#include <sched.h>
#include <sys/socket.h>

#include <array>
#include <cerrno>
#include <thread>

#include "sandbox/network/addresses.h"
#include "sandbox/network/inner_end.h"
#include "sandbox/network/links.h"
#include "sandbox/network/sysctl.h"

namespace cloister::network::test {
namespace {

UniqueFd currentNamespace() {
  return UniqueFd(::open("/proc/thread-self/ns/net", O_RDONLY | O_CLOEXEC));
}

sockaddr_in endpoint(Ipv4 address, std::uint16_t port) {
  sockaddr_in name{};
  name.sin_family = AF_INET;
  name.sin_port = htons(port);
  name.sin_addr.s_addr = htonl(address);
  return name;
}

const sockaddr* generic(const sockaddr_in& name) {
  return reinterpret_cast<const sockaddr*>(&name);
}

UniqueFd bound(const UniqueFd& netns, int type, Ipv4 address, std::uint16_t port) {
  UniqueFd socket(inside(netns, [type] { return ::socket(AF_INET, type | SOCK_CLOEXEC, 0); }));
  const int on = 1;
  EXPECT_EQ(::setsockopt(socket.get(), SOL_SOCKET, SO_REUSEADDR, &on, sizeof on), 0);
  const sockaddr_in name = endpoint(address, port);
  EXPECT_EQ(::bind(socket.get(), generic(name), sizeof name), 0) << formatIpv4(address) << ":" << port << " " << errno;
  return socket;
}

Status addUplink(const UniqueFd& internet) {
  auto route = Socket::open(NETLINK_ROUTE);
  if (!route) return route.error();
  Batch batch;
  batch.begin(RTM_NEWLINK, NLM_F_ACK | NLM_F_CREATE | NLM_F_EXCL, "create the uplink");
  batch.header(ifinfomsg{});
  batch.text(IFLA_IFNAME, "up0");
  const auto info = batch.nest(IFLA_LINKINFO);
  batch.text(IFLA_INFO_KIND, "veth");
  const auto data = batch.nest(IFLA_INFO_DATA);
  const auto peer = batch.nest(VETH_INFO_PEER);
  batch.header(ifinfomsg{});
  batch.text(IFLA_IFNAME, "in0");
  batch.u32(IFLA_NET_NS_FD, static_cast<std::uint32_t>(internet.get()));
  batch.close(peer);
  batch.close(data);
  batch.close(info);
  if (auto done = route->send(batch, "up0"); !done) return done;
  auto link = getLink(route.value(), "up0");
  if (!link) return link.error();
  Batch rest;
  addUp(rest, 1);
  addAddress(rest, link->index, kUplink, 24, Scope::global);
  addUp(rest, link->index);
  addDefaultRoute(rest, link->index, kInternet);
  if (auto done = route->send(rest, "up0"); !done) return done;
  return inNamespace(internet, []() -> Status {
    auto inner = Socket::open(NETLINK_ROUTE);
    if (!inner) return inner.error();
    auto end = getLink(inner.value(), "in0");
    if (!end) return end.error();
    Batch addresses;
    addUp(addresses, 1);
    addAddress(addresses, end->index, kInternet, 24, Scope::global);
    addAddress(addresses, end->index, ip("192.168.77.2"), 32, Scope::global);
    addAddress(addresses, end->index, ip("169.254.169.254"), 32, Scope::global);
    addUp(addresses, end->index);
    // So that a packet which should have been masqueraded, or a forged one, could be answered.
    addDefaultRoute(addresses, end->index, kUplink);
    return inner->send(addresses, "in0");
  });
}

}  // namespace

Ipv4 ip(const char* text) {
  return parseIpv4(text);
}

Status inNamespace(const UniqueFd& netns, const std::function<Status()>& work) {
  Status done;
  std::thread visitor([&done, &work, &netns] {
    done = ::setns(netns.get(), CLONE_NEWNET) == 0 ? work() : Status{failure("setns", "netns", errno)};
  });
  visitor.join();
  return done;
}

Status configureInside(const UniqueFd& netns, Ipv4 address, Ipv4 gateway) {
  return inNamespace(netns, [&]() -> Status {
    auto end = InnerEnd::prepare(address);
    return end ? end->configure(gateway) : Status{end.error()};
  });
}

int inside(const UniqueFd& netns, const std::function<int()>& body) {
  int result = -1;
  const auto done = inNamespace(netns, [&]() -> Status {
    result = body();
    return {};
  });
  EXPECT_TRUE(done) << done.error().message();
  return result;
}

UniqueFd newNamespace() {
  UniqueFd here = currentNamespace();
  EXPECT_EQ(::unshare(CLONE_NEWNET), 0);
  UniqueFd made = currentNamespace();
  EXPECT_EQ(::setns(here.get(), CLONE_NEWNET), 0);
  return made;
}

UniqueFd listenTcp(const UniqueFd& netns, Ipv4 address, std::uint16_t port) {
  UniqueFd socket = bound(netns, SOCK_STREAM, address, port);
  EXPECT_EQ(::listen(socket.get(), 16), 0);
  return socket;
}

UniqueFd bindUdp(const UniqueFd& netns, Ipv4 address, std::uint16_t port) {
  return bound(netns, SOCK_DGRAM, address, port);
}

int connectTcp(const UniqueFd& netns, Ipv4 address, std::uint16_t port, UniqueFd* connected, int milliseconds) {
  UniqueFd socket(inside(netns, [] { return ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0); }));
  const sockaddr_in name = endpoint(address, port);
  if (::connect(socket.get(), generic(name), sizeof name) != 0 && errno != EINPROGRESS) return errno;
  pollfd wait{socket.get(), POLLOUT, 0};
  if (::poll(&wait, 1, milliseconds) <= 0) return ETIMEDOUT;
  int error = 0;
  socklen_t size = sizeof error;
  EXPECT_EQ(::getsockopt(socket.get(), SOL_SOCKET, SO_ERROR, &error, &size), 0);
  if (error == 0 && connected != nullptr) {
    EXPECT_EQ(::fcntl(socket.get(), F_SETFL, 0), 0);
    *connected = std::move(socket);
  }
  return error;
}

void sendUdp(const UniqueFd& netns, Ipv4 address, std::uint16_t port, const std::string& payload) {
  const UniqueFd socket(inside(netns, [] { return ::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0); }));
  const sockaddr_in name = endpoint(address, port);
  (void)::sendto(socket.get(), payload.data(), payload.size(), 0, generic(name), sizeof name);
}

std::string receive(const UniqueFd& socket, int milliseconds, Ipv4* from) {
  pollfd wait{socket.get(), POLLIN, 0};
  if (::poll(&wait, 1, milliseconds) <= 0) return {};
  std::array<char, 4096> buffer{};
  sockaddr_in name{};
  socklen_t size = sizeof name;
  const ssize_t got =
      ::recvfrom(socket.get(), buffer.data(), buffer.size(), 0, reinterpret_cast<sockaddr*>(&name), &size);
  if (from != nullptr) *from = ntohl(name.sin_addr.s_addr);
  return got > 0 ? std::string(buffer.data(), static_cast<std::size_t>(got)) : std::string();
}

void World::build(BridgedPackets bridged) {
  if (::geteuid() != 0) GTEST_SKIP() << "World needs root: it makes network namespaces";
  before_ = currentNamespace();
  host = newNamespace();
  ASSERT_EQ(::setns(host.get(), CLONE_NEWNET), 0);
  const auto set = setSysctl("bridge/bridge-nf-call-iptables", bridged == BridgedPackets::filtered ? "1" : "0");
  if (!set && bridged == BridgedPackets::filtered) GTEST_SKIP() << "needs br_netfilter: " << set.error().message();
  for (UniqueFd* netns : {&internet, &a, &b, &c, &d}) *netns = newNamespace();
  const auto up = addUplink(internet);
  ASSERT_TRUE(up) << up.error().message();
  auto opened = Network::open();
  ASSERT_TRUE(opened) << opened.error().message();
  network = std::move(opened).value();
  put(kFirst, launcher::Egress::internet);
  put(kSecond, launcher::Egress::none);
  link(kFirst, kA, a);
  link(kFirst, kB, b);
  link(kSecond, kC, c);
  link(kSecond, kD, d);
}

void World::TearDown() {
  network.reset();
  if (before_) {
    EXPECT_EQ(::setns(before_.get(), CLONE_NEWNET), 0);
  }
}

void World::put(TenantIndex tenant, launcher::Egress egress, std::uint64_t bitsPerSecond) {
  const auto done = network->putTenant(tenant, bitsPerSecond, egress);
  ASSERT_TRUE(done) << done.error().message();
}

void World::link(TenantIndex tenant, Ipv4 address, const UniqueFd& netns) {
  const auto done = network->link(tenant, address, netns.get());
  ASSERT_TRUE(done) << done.error().message();
  const auto configured = configureInside(netns, address, gatewayOf(tenant));
  ASSERT_TRUE(configured) << configured.error().message();
}

launcher::NetworkUsage World::usageOf(TenantIndex tenant) {
  auto all = network->usage();
  EXPECT_TRUE(all) << all.error().message();
  for (const auto& one : all.value()) {
    if (one.tenant == tenant) return one;
  }
  ADD_FAILURE() << "no usage of tenant " << tenant;
  return {};
}

}  // namespace cloister::network::test
