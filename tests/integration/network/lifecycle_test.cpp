// Restarts, replacements, failures and ends: what stays, what goes.
#include <fcntl.h>
#include <linux/netlink.h>
#include <sched.h>
#include <sys/socket.h>

#include <algorithm>
#include <cerrno>

#include "sandbox/network/addresses.h"
#include "sandbox/network/elements.h"
#include "sandbox/network/links.h"
#include "world.h"

namespace cloister::network::test {
namespace {

std::vector<std::string> linkNames() {
  auto route = Socket::open(NETLINK_ROUTE);
  EXPECT_TRUE(route);
  auto links = listLinks(route.value());
  EXPECT_TRUE(links);
  std::vector<std::string> names;
  for (const Link& link : links.value()) names.push_back(link.name);
  std::sort(names.begin(), names.end());
  return names;
}

struct Lifecycle : World {
  Socket netfilter() {
    auto opened = Socket::open(NETLINK_NETFILTER);
    EXPECT_TRUE(opened) << opened.error().message();
    return std::move(opened).value();
  }
  void reopen() {
    network.reset();
    auto opened = Network::open();
    ASSERT_TRUE(opened) << opened.error().message();
    network = std::move(opened).value();
  }
};

TEST_F(Lifecycle, ARestartIsNotNoticedByAnOpenConnection) {
  const auto server = listenTcp(internet, kInternet, 80);
  UniqueFd client;
  ASSERT_EQ(connectTcp(a, kInternet, 80, &client), 0);
  const UniqueFd accepted(::accept4(server.get(), nullptr, nullptr, SOCK_CLOEXEC));
  ASSERT_EQ(::send(client.get(), "before", 6, 0), 6);
  ASSERT_EQ(receive(accepted), "before");
  const auto usage = usageOf(kFirst);
  const auto links = linkNames();
  reopen();
  EXPECT_EQ(linkNames(), links);
  EXPECT_GE(usageOf(kFirst).externalSentBytes, usage.externalSentBytes);
  EXPECT_GE(usageOf(kFirst).internalSentBytes, usage.internalSentBytes);
  ASSERT_EQ(::send(client.get(), "after", 5, 0), 5);
  EXPECT_EQ(receive(accepted), "after");
  const auto peer = listenTcp(b, kB, 8080);
  EXPECT_EQ(connectTcp(a, kB, 8080), 0);
  EXPECT_NE(connectTcp(c, kInternet, 80, nullptr, kSilence), 0) << "the other tenant's policy is kept as well";
  // And it goes on: what was made before the restart is changed and removed after it.
  put(kSecond, launcher::Egress::internet);
  EXPECT_EQ(connectTcp(c, kInternet, 80), 0);
  EXPECT_TRUE(network->unlink(kFirst, kA));
  EXPECT_NE(connectTcp(a, kB, 8080, nullptr, kSilence), 0);
}

TEST_F(Lifecycle, AnotherVersionIsReplacedAndRefilledFromTheLinks) {
  const auto receiver = bindUdp(internet, kInternet, 9000);
  sendUdp(a, kInternet, 9000, "counted");
  ASSERT_EQ(receive(receiver), "counted");
  network.reset();
  {
    auto socket = netfilter();
    Batch batch;
    beginTransaction(batch);
    addRemoveTable(batch, Family::inet);
    addRemoveTable(batch, Family::bridge);
    addTable(batch, Family::inet, "cloister rules of long ago");
    endTransaction(batch);
    const auto done = socket.send(batch, "tables");
    ASSERT_TRUE(done) << done.error().message();
  }
  reopen();
  const auto peer = listenTcp(b, kB, 8080);
  EXPECT_EQ(connectTcp(a, kB, 8080), 0);
  const auto server = listenTcp(internet, kInternet, 80);
  EXPECT_NE(connectTcp(a, kInternet, 80, nullptr, kSilence), 0) << "an egress that nobody knows is none";
  put(kFirst, launcher::Egress::internet);
  EXPECT_EQ(connectTcp(a, kInternet, 80), 0);
  auto socket = netfilter();
  for (const Family family : {Family::inet, Family::bridge}) {
    const auto version = readVersion(socket, family);
    ASSERT_TRUE(version);
    EXPECT_EQ(version->value_or(""), rulesetVersion());
  }
}

TEST_F(Lifecycle, RemoveAllLeavesNothing) {
  put(kFirst, launcher::Egress::internet, 50'000'000);
  network.reset();
  const auto removed = Network::removeAll();
  ASSERT_TRUE(removed) << removed.error().message();
  const auto names = linkNames();
  EXPECT_EQ(names, (std::vector<std::string>{"lo", "up0"}));
  auto socket = netfilter();
  for (const Family family : {Family::inet, Family::bridge}) {
    const auto version = readVersion(socket, family);
    ASSERT_TRUE(version);
    EXPECT_FALSE(version->has_value());
  }
  const UniqueFd probe(::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  EXPECT_NE(connectTcp(host, kDnsAddress, 53, nullptr, kSilence), ECONNREFUSED) << "no longer an address of ours";
  EXPECT_TRUE(Network::removeAll()) << "nothing to remove is no error";
}

TEST_F(Lifecycle, RemovingATenantTakesItsTracesAndNoOthers) {
  put(kSecond, launcher::Egress::internet, 50'000'000);
  const auto dns = bindUdp(host, kDnsAddress, 53);
  sendUdp(c, kDnsAddress, 53, "makes a connection entry");
  ASSERT_NE(receive(dns), "");
  const auto removed = network->removeTenant(kSecond);
  ASSERT_TRUE(removed) << removed.error().message();
  const auto names = linkNames();
  EXPECT_EQ(std::count_if(names.begin(), names.end(),
                          [](const std::string& name) { return name.find("12") != std::string::npos; }),
            0);
  const auto usage = network->usage();
  ASSERT_TRUE(usage);
  ASSERT_EQ(usage->size(), 1U);
  EXPECT_EQ(usage->front().tenant, kFirst);
  const auto peer = listenTcp(b, kB, 8080);
  EXPECT_EQ(connectTcp(a, kB, 8080), 0);
  EXPECT_TRUE(network->removeTenant(kSecond)) << "gone counts as done";
  put(kSecond, launcher::Egress::none);
  const UniqueFd fresh = newNamespace();
  link(kSecond, kC, fresh);
}

TEST_F(Lifecycle, AnAddressIsUsableAgainWhileItsOldNamespaceStillDies) {
  for (int turn = 0; turn < 5; ++turn) {
    a.reset();  // the last holder of the namespace: the kernel takes it down some time later
    const auto done = network->unlink(kFirst, kA);
    ASSERT_TRUE(done) << done.error().message();
    a = newNamespace();
    link(kFirst, kA, a);
    const auto server = listenTcp(b, kB, 8080);
    EXPECT_EQ(connectTcp(a, kB, 8080), 0) << turn;
    EXPECT_EQ(connectTcp(host, kB, 8080), 0) << turn;
  }
}

TEST_F(Lifecycle, AnAddressIsLinkedOnce) {
  const UniqueFd other = newNamespace();
  const auto again = network->link(kFirst, kA, other.get());
  ASSERT_FALSE(again);
  EXPECT_EQ(again.error().code, EEXIST);
  const auto server = listenTcp(b, kB, 8080);
  EXPECT_EQ(connectTcp(a, kB, 8080), 0) << "the first one goes on";
}

TEST_F(Lifecycle, AFailedLinkLeavesNothing) {
  const auto links = linkNames();
  const Ipv4 address = subnetOf(kFirst) + 9;
  const UniqueFd file(::open("/dev/null", O_RDONLY | O_CLOEXEC));
  EXPECT_FALSE(network->link(kFirst, address, file.get())) << "not a namespace";
  EXPECT_FALSE(network->link(kFirst, address, a.get())) << "it has an eth0";
  EXPECT_EQ(linkNames(), links);
  auto socket = netfilter();
  const auto sources = readSources(socket);
  ASSERT_TRUE(sources);
  EXPECT_EQ(std::count(sources->begin(), sources->end(), address), 0);
}

TEST_F(Lifecycle, RefusesWhatIsNoTenantOrNotItsAddress) {
  const UniqueFd netns = newNamespace();
  const struct {
    TenantIndex tenant;
    Ipv4 address;
  } cases[] = {
      {0, subnetOf(0) + 2},
      {kLastTenant + 1, subnetOf(kLastTenant + 1) + 2},
      {kFirst, kC},
      {kFirst, gatewayOf(kFirst)},
      {kFirst, subnetOf(kFirst)},
      {kFirst, subnetOf(kFirst) + 255},
      {kFirst, ip("203.0.113.9")},
      {13, subnetOf(13) + 2},
  };
  for (const auto& one : cases) {
    EXPECT_FALSE(network->link(one.tenant, one.address, netns.get())) << one.tenant << " " << formatIpv4(one.address);
  }
  for (const TenantIndex tenant : {TenantIndex{0}, kLastTenant + 1, ~TenantIndex{0}}) {
    EXPECT_FALSE(network->putTenant(tenant, 0, launcher::Egress::internet));
    EXPECT_FALSE(network->removeTenant(tenant));
  }
}

TEST_F(Lifecycle, LoopbackOnlyGivesNothingElse) {
  const UniqueFd netns = newNamespace();
  const auto done = configureInside(netns, 0, 0);
  ASSERT_TRUE(done) << done.error().message();
  const auto server = listenTcp(netns, ip("127.0.0.1"), 8080);
  EXPECT_EQ(connectTcp(netns, ip("127.0.0.1"), 8080), 0);
  EXPECT_EQ(connectTcp(netns, kB, 8080), ENETUNREACH);
}

TEST_F(Lifecycle, LinksOfOthersAreNotFiltered) {
  // The host forwards for somebody else too: its uplink to itself, and a link in a device group that is not a tenant's.
  const auto server = listenTcp(host, kUplink, 8080);
  EXPECT_EQ(connectTcp(internet, kUplink, 8080), 0);
}

}  // namespace
}  // namespace cloister::network::test
