// What a hostile root of a container can put on its wire, and what of it arrives anywhere.
#include <fcntl.h>
#include <net/ethernet.h>
#include <sys/socket.h>
#include <unistd.h>

#include "packets.h"
#include "world.h"

namespace cloister::network::test {
namespace {

const Mac kGateway = macOf(gatewayOf(kFirst));

struct Spoofing : WorldEachWay {
  void send(const std::string& frame) { inject(a, "eth0", frame); }
};

TEST_P(Spoofing, AForgedSourceAddressDoesNotReachTheOwnTenant) {
  Sniffer sniffer(b, "eth0");
  send(ethernet(macOf(kB), macOf(kA), ETHERTYPE_IP, udp4(kA, kB, 9000, "honest-frame")));
  EXPECT_TRUE(sniffer.sees("honest-frame", kPatience));
  for (const Ipv4 forged : {kB, gatewayOf(kFirst), kC, kInternet, ip("127.0.0.1"), Ipv4{0}}) {
    send(ethernet(macOf(kB), macOf(kA), ETHERTYPE_IP, udp4(forged, kB, 9000, "forged-frame")));
  }
  EXPECT_FALSE(sniffer.sees("forged-frame", kSilence));
}

TEST_P(Spoofing, AForgedSourceAddressDoesNotReachTheInternet) {
  Sniffer sniffer(internet, "in0");
  send(ethernet(kGateway, macOf(kA), ETHERTYPE_IP, udp4(kA, kInternet, 9000, "honest-frame")));
  EXPECT_TRUE(sniffer.sees("honest-frame", kPatience));
  for (const Ipv4 forged : {kB, kC, kUplink, kInternet, ip("198.51.100.7")}) {
    send(ethernet(kGateway, macOf(kA), ETHERTYPE_IP, udp4(forged, kInternet, 9000, "forged-frame")));
  }
  EXPECT_FALSE(sniffer.sees("forged-frame", kSilence));
}

TEST_P(Spoofing, AForgedMacDoesNotArrive) {
  Sniffer sniffer(b, "eth0");
  for (const Mac& forged : {macOf(kB), kGateway, macOf(kC), Mac{2, 9, 9, 9, 9, 9}}) {
    send(ethernet(macOf(kB), forged, ETHERTYPE_IP, udp4(kA, kB, 9000, "forged-frame")));
  }
  EXPECT_FALSE(sniffer.sees("forged-frame", kSilence));
}

TEST_P(Spoofing, ArpSpeaksOnlyForItself) {
  Sniffer sniffer(b, "eth0");
  const std::string honest = arp(macOf(kA), kA, kB);
  send(ethernet(kBroadcast, macOf(kA), ETHERTYPE_ARP, honest));
  EXPECT_TRUE(sniffer.sees(honest, kPatience));
  const std::string forged[] = {
      arp(macOf(kA), gatewayOf(kFirst), kB),  // I am the gateway
      arp(macOf(kA), kB, kB),                 // I am you
      arp(kGateway, kA, kB),                  // the gateway has my address
      arp(Mac{2, 9, 9, 9, 9, 9}, kA, kB),
  };
  for (const std::string& packet : forged) {
    send(ethernet(kBroadcast, macOf(kA), ETHERTYPE_ARP, packet));
    EXPECT_FALSE(sniffer.sees(packet, kSilence));
  }
  send(ethernet(kBroadcast, macOf(kB), ETHERTYPE_ARP, honest));
  EXPECT_FALSE(sniffer.sees(honest, kSilence)) << "the frame's own sender counts as well";
}

TEST_P(Spoofing, Ipv6ReachesNeitherTheHostNorAnInstance) {
  Sniffer bridge(host, "cl11");
  Sniffer neighbour(b, "eth0");
  const std::string allNodes = std::string("\xff\x02", 2) + std::string(13, '\0') + '\x01';
  const std::string linkLocal =
      std::string("\xfe\x80", 2) + std::string(6, '\0') + std::string("\0\0\x0a\xff\xfe\x80\x0b\x01", 8);
  const Mac multicast{0x33, 0x33, 0, 0, 0, 1};
  send(ethernet(multicast, macOf(kA), ETHERTYPE_IPV6, udp6(allNodes, 9000, "six-frame")));
  send(ethernet(kGateway, macOf(kA), ETHERTYPE_IPV6, udp6(linkLocal, 9000, "six-frame")));
  send(ethernet(macOf(kB), macOf(kA), ETHERTYPE_IPV6, udp6(allNodes, 9000, "six-frame")));
  EXPECT_FALSE(bridge.sees("six-frame", kSilence));
  EXPECT_FALSE(neighbour.sees("six-frame", kSilence));
}

TEST_P(Spoofing, TheHostHasNoIpv6AddressTowardsTenants) {
  const std::string text = [] {
    std::string all(1U << 16U, '\0');
    const UniqueFd file(::open("/proc/thread-self/net/if_inet6", O_RDONLY | O_CLOEXEC));
    const ssize_t got = ::read(file.get(), all.data(), all.size());
    all.resize(got > 0 ? static_cast<std::size_t>(got) : 0);
    return all;
  }();
  EXPECT_NE(text.find(" lo"), std::string::npos) << "control";
  EXPECT_EQ(text.find(" cl"), std::string::npos) << text;
  EXPECT_EQ(text.find(" cv"), std::string::npos) << text;
}

TEST_P(Spoofing, FramesThatPassTheBridgeUnseenEndAtTheHost) {
  // 01:80:c2:00:00:0x is handed up by the port itself, with the port as its input link.
  const auto service = bindUdp(host, 0, 9000);
  const auto dns = bindUdp(host, kDnsAddress, 53);
  for (const std::uint8_t last : std::initializer_list<std::uint8_t>{0x00, 0x02, 0x03, 0x0e, 0x0f}) {
    const Mac reserved{0x01, 0x80, 0xc2, 0x00, 0x00, last};
    for (const Ipv4 address : {gatewayOf(kFirst), kUplink, kDnsAddress}) {
      send(ethernet(reserved, macOf(kA), ETHERTYPE_IP, udp4(kA, address, 9000, "past-the-bridge")));
      send(ethernet(reserved, macOf(kA), ETHERTYPE_IP, udp4(kC, address, 53, "past-the-bridge")));
    }
  }
  EXPECT_EQ(receive(service, kSilence), "");
  EXPECT_EQ(receive(dns, kSilence), "");
}

TEST_P(Spoofing, OtherProtocolsAndTaggedFramesAreDropped) {
  Sniffer sniffer(b, "eth0");
  Sniffer bridge(host, "cl11");
  const std::string inner = udp4(kC, kB, 9000, "tagged-frame");
  const std::string tag = std::string("\0\5\x08\0", 4);  // VLAN 5, then IPv4
  send(ethernet(macOf(kB), macOf(kA), ETHERTYPE_VLAN, tag + inner));
  send(ethernet(kGateway, macOf(kA), ETHERTYPE_VLAN, std::string("\0\0\x08\0", 4) + inner));
  send(ethernet(kBroadcast, macOf(kA), 0x88cc, "tagged-frame, as LLDP" + std::string(40, ' ')));
  send(ethernet(macOf(kB), macOf(kA), 0x8864, std::string("\x11\0\0\1\0\x40\0\x21", 8) + "tagged-frame"));
  EXPECT_FALSE(sniffer.sees("tagged-frame", kSilence));
  EXPECT_FALSE(bridge.sees("tagged-frame", kSilence));
}

TEST_P(Spoofing, AnotherAddressOfTheSubnetThatWasNotGivenIsNotUsable) {
  const auto server = listenTcp(b, kB, 8080);
  Sniffer sniffer(b, "eth0");
  const Ipv4 free = subnetOf(kFirst) + 77;
  send(ethernet(macOf(kB), macOf(free), ETHERTYPE_IP, udp4(free, kB, 9000, "forged-frame")));
  send(ethernet(macOf(kB), macOf(kA), ETHERTYPE_IP, udp4(free, kB, 9000, "forged-frame")));
  EXPECT_FALSE(sniffer.sees("forged-frame", kSilence));
}

INSTANTIATE_TEST_SUITE_P(EachWay, Spoofing, kEachWay, nameOfWay);

}  // namespace
}  // namespace cloister::network::test
