// What a tenant reaches, by real sockets. Every "cannot" has a "can" beside it, so that a broken set-up fails.
#include <arpa/inet.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <vector>

#include "sandbox/network/ruleset.h"
#include "sandbox/network/sysctl.h"
#include "world.h"

namespace cloister::network::test {
namespace {

struct Isolation : WorldEachWay {};

TEST_P(Isolation, InstancesOfOneTenantReachEachOther) {
  const auto server = listenTcp(b, kB, 8080);
  EXPECT_EQ(connectTcp(a, kB, 8080), 0);
  const auto udp = bindUdp(b, kB, 9000);
  sendUdp(a, kB, 9000, "hello");
  EXPECT_EQ(receive(udp), "hello");
}

TEST_P(Isolation, AnInstanceReachesItsOwnLoopback) {
  const auto server = listenTcp(a, ip("127.0.0.1"), 8080);
  EXPECT_EQ(connectTcp(a, ip("127.0.0.1"), 8080), 0);
}

TEST_P(Isolation, AnotherTenantIsOutOfReach) {
  const auto server = listenTcp(c, kC, 8080);
  const auto udp = bindUdp(c, kC, 9000);
  EXPECT_EQ(connectTcp(d, kC, 8080), 0);
  EXPECT_NE(connectTcp(a, kC, 8080, nullptr, kSilence), 0);
  sendUdp(a, kC, 9000, "hello");
  EXPECT_EQ(receive(udp, kSilence), "");
  sendUdp(d, kC, 9000, "control");
  EXPECT_EQ(receive(udp), "control");
}

TEST_P(Isolation, NeitherDirectionCrossesTenants) {
  const auto server = listenTcp(a, kA, 8080);
  EXPECT_NE(connectTcp(c, kA, 8080, nullptr, kSilence), 0);
  put(kSecond, launcher::Egress::internet);
  EXPECT_NE(connectTcp(c, kA, 8080, nullptr, kSilence), 0);
}

TEST_P(Isolation, NoPortOfTheHostAnswersAtAnyOfItsAddresses) {
  const std::uint16_t ports[] = {22, 53, 7070, 8080};
  for (const std::uint16_t port : ports) {
    const auto server = listenTcp(host, 0, port);
    const auto udp = bindUdp(host, 0, port);
    EXPECT_EQ(connectTcp(internet, kUplink, port), 0) << "control, port " << port;
    for (const Ipv4 address : {gatewayOf(kFirst), gatewayOf(kSecond), kUplink}) {
      EXPECT_NE(connectTcp(a, address, port, nullptr, kSilence), 0) << formatIpv4(address) << ":" << port;
      sendUdp(a, address, port, "hello");
    }
    EXPECT_EQ(receive(udp, kSilence), "") << port;
  }
}

TEST_P(Isolation, TheDnsForwarderIsReachableAtItsAddressAndPortOnly) {
  const auto tcp = listenTcp(host, kDnsAddress, 53);
  const auto udp = bindUdp(host, kDnsAddress, 53);
  const auto other = listenTcp(host, kDnsAddress, 54);
  const auto otherUdp = bindUdp(host, kDnsAddress, 54);
  for (const auto* netns : {&a, &c}) {  // also a tenant without egress
    EXPECT_EQ(connectTcp(*netns, kDnsAddress, 53), 0);
    sendUdp(*netns, kDnsAddress, 53, "question");
    EXPECT_EQ(receive(udp), "question");
    EXPECT_NE(connectTcp(*netns, kDnsAddress, 54, nullptr, kSilence), 0);
    sendUdp(*netns, kDnsAddress, 54, "question");
    EXPECT_EQ(receive(otherUdp, kSilence), "");
  }
}

TEST_P(Isolation, AnswersOfTheDnsForwarderArrive) {
  const auto forwarder = bindUdp(host, kDnsAddress, 53);
  const UniqueFd client(inside(a, [] { return ::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0); }));
  sockaddr_in name{};
  name.sin_family = AF_INET;
  name.sin_port = htons(53);
  name.sin_addr.s_addr = htonl(kDnsAddress);
  ASSERT_EQ(::connect(client.get(), reinterpret_cast<const sockaddr*>(&name), sizeof name), 0);
  ASSERT_EQ(::send(client.get(), "q", 1, 0), 1);
  std::string question(16, '\0');
  sockaddr_in from{};
  socklen_t size = sizeof from;
  ASSERT_EQ(::recvfrom(forwarder.get(), question.data(), question.size(), 0, reinterpret_cast<sockaddr*>(&from), &size),
            1);
  EXPECT_EQ(ntohl(from.sin_addr.s_addr), kA);
  ASSERT_EQ(::sendto(forwarder.get(), "answer", 6, 0, reinterpret_cast<const sockaddr*>(&from), size), 6);
  EXPECT_EQ(receive(client), "answer");
}

TEST_P(Isolation, TheInternetSeesTheHostsAddress) {
  const auto server = listenTcp(internet, kInternet, 443);
  UniqueFd connection;
  ASSERT_EQ(connectTcp(a, kInternet, 443, &connection), 0);
  sockaddr_in from{};
  socklen_t size = sizeof from;
  const UniqueFd accepted(::accept4(server.get(), reinterpret_cast<sockaddr*>(&from), &size, SOCK_CLOEXEC));
  ASSERT_TRUE(accepted);
  EXPECT_EQ(formatIpv4(ntohl(from.sin_addr.s_addr)), formatIpv4(kUplink));
  ASSERT_EQ(::send(accepted.get(), "page", 4, 0), 4);
  EXPECT_EQ(receive(connection), "page");
}

TEST_P(Isolation, PrivateAndMetadataAddressesAreDenied) {
  for (const char* address : {"192.168.77.2", "169.254.169.254"}) {
    const auto server = listenTcp(internet, ip(address), 80);
    const auto udp = bindUdp(internet, ip(address), 80);
    EXPECT_EQ(connectTcp(host, ip(address), 80), 0) << "control: the host itself reaches " << address;
    EXPECT_NE(connectTcp(a, ip(address), 80, nullptr, kSilence), 0) << address;
    sendUdp(a, ip(address), 80, "hello");
    EXPECT_EQ(receive(udp, kSilence), "") << address;
  }
}

TEST_P(Isolation, MailIsRefusedAtOnce) {
  const auto mail = listenTcp(internet, kInternet, 25);
  const auto web = listenTcp(internet, kInternet, 80);
  EXPECT_EQ(connectTcp(a, kInternet, 80), 0);
  EXPECT_EQ(connectTcp(a, kInternet, 25), ECONNREFUSED);
}

TEST_P(Isolation, TheOutsideCannotReachAnInstance) {
  const auto server = listenTcp(a, kA, 8080);
  EXPECT_EQ(connectTcp(host, kA, 8080), 0) << "control: the edge proxy on the host does";
  EXPECT_NE(connectTcp(internet, kA, 8080, nullptr, kSilence), 0);  // the internet has a route: by the uplink
}

TEST_P(Isolation, WithoutEgressNothingLeavesAndAChangeActsAtOnce) {
  const auto server = listenTcp(internet, kInternet, 80);
  EXPECT_NE(connectTcp(c, kInternet, 80, nullptr, kSilence), 0);
  put(kSecond, launcher::Egress::internet);
  UniqueFd connection;
  ASSERT_EQ(connectTcp(c, kInternet, 80, &connection), 0);
  const UniqueFd accepted(::accept4(server.get(), nullptr, nullptr, SOCK_CLOEXEC));
  ASSERT_EQ(::send(connection.get(), "one", 3, 0), 3);
  EXPECT_EQ(receive(accepted), "one");
  put(kSecond, launcher::Egress::none);
  ASSERT_EQ(::send(connection.get(), "two", 3, 0), 3);
  EXPECT_EQ(receive(accepted, kSilence), "") << "an open connection ends too";
}

TEST_P(Isolation, ATenantCannotFillTheHostsConnectionTable) {
  put(kSecond, launcher::Egress::internet);
  // None of them may be forgotten before the last was sent, however slow the machine is: the usual is half a minute.
  const auto patient = network::setSysctl("netfilter/nf_conntrack_udp_timeout", "600");
  ASSERT_TRUE(patient) << patient.error().message();
  const auto receiver = bindUdp(internet, kInternet, 9000);
  const int size = 8 << 20;
  ASSERT_EQ(::setsockopt(receiver.get(), SOL_SOCKET, SO_RCVBUFFORCE, &size, sizeof size), 0);
  constexpr std::uint32_t kFirstPort = 20'000;  // a source port each is a connection each
  sockaddr_in name{};
  name.sin_family = AF_INET;
  name.sin_port = htons(9000);
  name.sin_addr.s_addr = htonl(kInternet);
  for (std::uint32_t i = 0; i < kConnectionLimit + 500; ++i) {
    const auto socket = bindUdp(a, kA, static_cast<std::uint16_t>(kFirstPort + i));
    (void)::sendto(socket.get(), "one", 3, 0, reinterpret_cast<const sockaddr*>(&name), sizeof name);
  }
  std::uint32_t arrived = 0;
  while (!receive(receiver, 50).empty()) ++arrived;
  EXPECT_LE(arrived, kConnectionLimit + 1);
  EXPECT_GE(arrived, kConnectionLimit / 2);
  sendUdp(c, kInternet, 9000, "neighbour");
  EXPECT_EQ(receive(receiver), "neighbour");
}

// One tenant's questions, from one socket or many, leave the forwarder to the others.
TEST_P(Isolation, ATenantCannotHaveTheForwarderToItself) {
  const auto forwarder = bindUdp(host, kDnsAddress, 53);
  const int size = 8 << 20;
  ASSERT_EQ(::setsockopt(forwarder.get(), SOL_SOCKET, SO_RCVBUFFORCE, &size, sizeof size), 0);
  sockaddr_in name{};
  name.sin_family = AF_INET;
  name.sin_port = htons(53);
  name.sin_addr.s_addr = htonl(kDnsAddress);
  const auto socket = bindUdp(a, kA, 20'000);
  const auto began = std::chrono::steady_clock::now();
  for (std::uint32_t i = 0; i < 4 * kQuestionLimit.burst; ++i) {
    (void)::sendto(socket.get(), "one", 3, 0, reinterpret_cast<const sockaddr*>(&name), sizeof name);
  }
  const auto seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - began).count();
  std::uint32_t arrived = 0;
  while (!receive(forwarder, 50).empty()) ++arrived;
  EXPECT_GE(arrived, kQuestionLimit.burst / 2);
  EXPECT_LE(arrived, kQuestionLimit.burst + static_cast<std::uint32_t>((seconds + 1) * kQuestionLimit.perSecond));
  sendUdp(c, kDnsAddress, 53, "neighbour");
  EXPECT_EQ(receive(forwarder), "neighbour");

  const auto server = listenTcp(host, kDnsAddress, 53);
  std::vector<UniqueFd> open(kDnsConnectionLimit);
  for (auto& connection : open) EXPECT_EQ(connectTcp(a, kDnsAddress, 53, &connection), 0);
  EXPECT_EQ(connectTcp(a, kDnsAddress, 53, nullptr, kSilence), ETIMEDOUT);
  EXPECT_EQ(connectTcp(c, kDnsAddress, 53), 0) << "the neighbour";
}

// The edge sends an upload; the app answers, and closes without having read it. The answer can be read before the reset
// comes.
TEST_P(Isolation, AnAnswerComesBeforeTheResetOfAnUpload) {
  const auto server = listenTcp(a, kA, 8080);
  for (const bool upload : {true, false}) {
    UniqueFd edge;
    ASSERT_EQ(connectTcp(host, kA, 8080, &edge), 0);
    UniqueFd app(::accept4(server.get(), nullptr, nullptr, SOCK_CLOEXEC));
    const std::string bytes(upload ? 1U << 20U : 1'000U, 'u');
    (void)::send(edge.get(), bytes.data(), bytes.size(), MSG_DONTWAIT | MSG_NOSIGNAL);
    ::usleep(50'000);
    ASSERT_EQ(::send(app.get(), "refused", 7, 0), 7);
    app.reset();
    ::usleep(50'000);
    int error = 0;
    socklen_t size = sizeof error;
    ::getsockopt(edge.get(), SOL_SOCKET, SO_ERROR, &error, &size);
    EXPECT_EQ(error, upload ? 0 : ECONNRESET);
    EXPECT_EQ(receive(edge, kSilence), "refused");
    // What is sent further brings the reset, after its moment.
    bool ended = false;
    for (int waited = 0; waited < kPatience && !ended; waited += 20) {
      ended = ::send(edge.get(), "more", 4, MSG_DONTWAIT | MSG_NOSIGNAL) < 0 && errno != EAGAIN;
      ::usleep(20'000);
    }
    EXPECT_TRUE(ended);
  }
}

TEST_P(Isolation, AnInstanceHasNoIpv6ButItsLoopback) {
  const int result = inside(a, [] {
    const UniqueFd socket(::socket(AF_INET6, SOCK_DGRAM | SOCK_CLOEXEC, 0));
    sockaddr_in6 name{};
    name.sin6_family = AF_INET6;
    name.sin6_port = htons(53);
    if (::inet_pton(AF_INET6, "2001:db8::1", &name.sin6_addr) != 1) return -1;
    return ::connect(socket.get(), reinterpret_cast<const sockaddr*>(&name), sizeof name) == 0 ? 0 : errno;
  });
  EXPECT_TRUE(result == ENETUNREACH || result == EADDRNOTAVAIL) << result;
}

INSTANTIATE_TEST_SUITE_P(EachWay, Isolation, kEachWay, nameOfWay);

}  // namespace
}  // namespace cloister::network::test
