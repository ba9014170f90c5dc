// External bytes: exactly what crossed the bridge device, in each direction; internal ones: exactly what was switched
// between a tenant's instances; and the rate that holds both.
#include <sys/socket.h>

#include <chrono>
#include <thread>

#include "world.h"

namespace cloister::network::test {
namespace {

constexpr std::uint64_t kHeaders = 28;  // IPv4 and UDP
constexpr std::size_t kSize = 1000;
constexpr std::uint64_t kCount = 20;

struct Accounting : WorldEachWay {
  // Sends kCount datagrams one by one, each awaited.
  static void exchange(const UniqueFd& from, Ipv4 address, const UniqueFd& receiver, std::uint16_t port) {
    for (std::uint64_t i = 0; i < kCount; ++i) {
      sendUdp(from, address, port, std::string(kSize, 'x'));
      ASSERT_EQ(receive(receiver).size(), kSize);
    }
  }
};

TEST_P(Accounting, SentBytesAreThoseOfThePacketsThatLeft) {
  const auto receiver = bindUdp(internet, kInternet, 9000);
  const auto before = usageOf(kFirst);
  exchange(a, kInternet, receiver, 9000);
  const auto after = usageOf(kFirst);
  EXPECT_EQ(after.externalSentBytes - before.externalSentBytes, kCount * (kSize + kHeaders));
  EXPECT_EQ(after.externalReceivedBytes, before.externalReceivedBytes);
  EXPECT_EQ(after.internalSentBytes, before.internalSentBytes);
  EXPECT_EQ(after.internalReceivedBytes, before.internalReceivedBytes);
}

TEST_P(Accounting, ReceivedBytesAreThoseOfThePacketsThatArrived) {
  const auto receiver = bindUdp(a, kA, 9000);
  const auto before = usageOf(kFirst);
  exchange(host, kA, receiver, 9000);
  const auto after = usageOf(kFirst);
  EXPECT_EQ(after.externalReceivedBytes - before.externalReceivedBytes, kCount * (kSize + kHeaders));
  EXPECT_EQ(after.externalSentBytes, before.externalSentBytes);
}

TEST_P(Accounting, TrafficInsideATenantIsInternalToTheByteAndNotExternal) {
  const auto receiver = bindUdp(b, kB, 9000);
  const auto before = usageOf(kFirst);
  const auto other = usageOf(kSecond);
  exchange(a, kB, receiver, 9000);
  const auto after = usageOf(kFirst);
  EXPECT_EQ(after.externalSentBytes, before.externalSentBytes);
  EXPECT_EQ(after.externalReceivedBytes, before.externalReceivedBytes);
  // ARP, which they need to find each other, is no IP packet.
  EXPECT_EQ(after.internalSentBytes - before.internalSentBytes, kCount * (kSize + kHeaders));
  EXPECT_EQ(after.internalReceivedBytes - before.internalReceivedBytes, kCount * (kSize + kHeaders));
  EXPECT_EQ(usageOf(kSecond).internalReceivedBytes, other.internalReceivedBytes);
}

TEST_P(Accounting, DroppedPacketsAndOtherTenantsAreNotCounted) {
  const auto before = usageOf(kFirst);
  const auto other = usageOf(kSecond);
  sendUdp(a, ip("192.168.77.2"), 9000, std::string(kSize, 'x'));
  sendUdp(a, kC, 9000, std::string(kSize, 'x'));
  sendUdp(a, gatewayOf(kFirst), 9000, std::string(kSize, 'x'));
  const auto receiver = bindUdp(internet, kInternet, 9000);
  exchange(a, kInternet, receiver, 9000);
  EXPECT_EQ(usageOf(kFirst).externalSentBytes - before.externalSentBytes, kCount * (kSize + kHeaders));
  EXPECT_EQ(usageOf(kSecond).externalSentBytes, other.externalSentBytes);
  EXPECT_EQ(usageOf(kFirst).internalSentBytes, before.internalSentBytes);
  EXPECT_EQ(usageOf(kSecond).internalReceivedBytes, other.internalReceivedBytes);
}

TEST_P(Accounting, APutKeepsTheCounters) {
  const auto receiver = bindUdp(internet, kInternet, 9000);
  exchange(a, kInternet, receiver, 9000);
  const auto inside = bindUdp(b, kB, 9000);
  exchange(a, kB, inside, 9000);
  const auto before = usageOf(kFirst);
  put(kFirst, launcher::Egress::none);
  put(kFirst, launcher::Egress::internet, 100'000'000);
  EXPECT_EQ(usageOf(kFirst).externalSentBytes, before.externalSentBytes);
  EXPECT_EQ(usageOf(kFirst).internalSentBytes, before.internalSentBytes);
  EXPECT_GT(before.internalSentBytes, 0U);
  EXPECT_GT(before.externalSentBytes, 0U);
}

// Seconds that `bytes` take from one end of a connection to the other.
double secondsFor(const UniqueFd& from, const UniqueFd& to, std::size_t bytes) {
  const auto begin = std::chrono::steady_clock::now();
  std::thread sender([&from, bytes] {
    const std::string block(16'384, 'x');
    for (std::size_t sent = 0; sent < bytes;) {
      const ssize_t wrote = ::send(from.get(), block.data(), std::min(block.size(), bytes - sent), MSG_NOSIGNAL);
      if (wrote <= 0) return;
      sent += static_cast<std::size_t>(wrote);
    }
  });
  std::string buffer(65'536, '\0');
  for (std::size_t got = 0; got < bytes;) {
    const ssize_t read = ::recv(to.get(), buffer.data(), buffer.size(), 0);
    if (read <= 0) break;
    got += static_cast<std::size_t>(read);
  }
  sender.join();
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
}

TEST_P(Accounting, TheRateHoldsInBothDirections) {
  constexpr std::uint64_t kRate = 16'000'000;  // bits a second: 2 MB
  constexpr std::size_t kBytes = 3'000'000;
  put(kFirst, launcher::Egress::internet, kRate);
  const auto dropped = usageOf(kFirst).droppedPackets;
  const auto server = listenTcp(internet, kInternet, 80);
  UniqueFd client;
  ASSERT_EQ(connectTcp(a, kInternet, 80, &client), 0);
  const UniqueFd accepted(::accept4(server.get(), nullptr, nullptr, SOCK_CLOEXEC));
  const double upload = secondsFor(client, accepted, kBytes);
  const double download = secondsFor(accepted, client, kBytes);
  EXPECT_GT(upload, 1.3);
  EXPECT_GT(download, 1.3);
  EXPECT_GT(usageOf(kFirst).droppedPackets, dropped) << "a connection finds the rate by what is dropped";
  EXPECT_LT(upload, 10.0);
  EXPECT_LT(download, 10.0);
  put(kFirst, launcher::Egress::internet, 0);
  EXPECT_LT(secondsFor(client, accepted, kBytes), upload / 2);
}

TEST_P(Accounting, TheRateCountsWhatTheEdgeProxyGetsAndNotTheTenantsOwnTraffic) {
  constexpr std::size_t kBytes = 1'500'000;
  put(kFirst, launcher::Egress::internet, 8'000'000);
  const UniqueFd fresh = newNamespace();  // linked while the rate holds
  const Ipv4 address = subnetOf(kFirst) + 4;
  link(kFirst, address, fresh);
  const auto server = listenTcp(fresh, address, 8080);
  double proxied = 0;
  for (const auto* from : {&host, &a}) {
    UniqueFd client;
    ASSERT_EQ(connectTcp(*from, address, 8080, &client), 0);
    const UniqueFd accepted(::accept4(server.get(), nullptr, nullptr, SOCK_CLOEXEC));
    const double seconds = secondsFor(accepted, client, kBytes);
    if (from == &host) {
      proxied = seconds;
      EXPECT_GT(seconds, 1.2);
    } else {
      EXPECT_LT(seconds, proxied / 2);
    }
  }
}

INSTANTIATE_TEST_SUITE_P(EachWay, Accounting, kEachWay, nameOfWay);

}  // namespace
}  // namespace cloister::network::test
