// A host, an internet and two tenants with two instances each, in network namespaces that the test made.
//
//   internet 203.0.113.2, 192.168.77.2, 169.254.169.254 -- up0 -- host 203.0.113.1 -- cl11: a 10.128.11.2, b .3
//   (internet)
//                                                                             \----- cl12: c 10.128.12.2, d .3 (none)
// The calling thread is the host. The internet and the host listen wherever a test asks; nothing leaves the machine.
#pragma once

#include <gtest/gtest.h>

#include <functional>
#include <memory>
#include <string>

#include "sandbox/base/unique_fd.h"
#include "sandbox/network/network.h"
#include "tests/integration/patience.h"

namespace cloister::network::test {

inline constexpr TenantIndex kFirst = 11;
inline constexpr TenantIndex kSecond = 12;

[[nodiscard]] Ipv4 ip(const char* text);
inline const Ipv4 kA = subnetOf(kFirst) + 2;
inline const Ipv4 kB = subnetOf(kFirst) + 3;
inline const Ipv4 kC = subnetOf(kSecond) + 2;
inline const Ipv4 kD = subnetOf(kSecond) + 3;
inline const Ipv4 kUplink = 0xcb007101U;    // 203.0.113.1
inline const Ipv4 kInternet = 0xcb007102U;  // 203.0.113.2

// Milliseconds: for what must arrive, however busy the machine is, and for what must not.
inline const int kPatience = cloister::test::patient(5000);
inline constexpr int kSilence = 200;

// Runs `work` inside the namespace, in a thread of its own.
[[nodiscard]] Status inNamespace(const UniqueFd& netns, const std::function<Status()>& work);
// As a container's child does it; address 0: loopback only.
[[nodiscard]] Status configureInside(const UniqueFd& netns, Ipv4 address, Ipv4 gateway);
// Runs `body` inside the namespace and hands over what it returns; for opening sockets there.
[[nodiscard]] int inside(const UniqueFd& netns, const std::function<int()>& body);
[[nodiscard]] UniqueFd newNamespace();

// Sockets. Failing is -1 of a descriptor; why stands in errno's text of the failed expectation.
[[nodiscard]] UniqueFd listenTcp(const UniqueFd& netns, Ipv4 address, std::uint16_t port);
[[nodiscard]] UniqueFd bindUdp(const UniqueFd& netns, Ipv4 address, std::uint16_t port);
// 0, or the errno; ETIMEDOUT after `milliseconds`.
[[nodiscard]] int connectTcp(const UniqueFd& netns, Ipv4 address, std::uint16_t port, UniqueFd* connected = nullptr,
                             int milliseconds = kPatience);
void sendUdp(const UniqueFd& netns, Ipv4 address, std::uint16_t port, const std::string& payload);
// What arrives within `milliseconds`, or "".
[[nodiscard]] std::string receive(const UniqueFd& socket, int milliseconds = kPatience, Ipv4* from = nullptr);

// Whether br_netfilter, where the host has it, sends switched packets through the IP hooks too.
enum class BridgedPackets { switched, filtered };

class World : public testing::Test {
 protected:
  void SetUp() override { build(BridgedPackets::switched); }
  void build(BridgedPackets bridged);
  void TearDown() override;

  void put(TenantIndex tenant, launcher::Egress egress, std::uint64_t bitsPerSecond = 0);
  void link(TenantIndex tenant, Ipv4 address, const UniqueFd& netns);
  [[nodiscard]] launcher::NetworkUsage usageOf(TenantIndex tenant);

  UniqueFd before_;  // the namespace that the test came from
  UniqueFd host, internet, a, b, c, d;
  std::unique_ptr<Network> network;
};

class WorldEachWay : public World, public testing::WithParamInterface<BridgedPackets> {
 protected:
  void SetUp() override { build(GetParam()); }
};
inline const auto kEachWay = testing::Values(BridgedPackets::switched, BridgedPackets::filtered);
inline std::string nameOfWay(const testing::TestParamInfo<BridgedPackets>& way) {
  return way.param == BridgedPackets::switched ? "Switched" : "Filtered";
}

}  // namespace cloister::network::test
