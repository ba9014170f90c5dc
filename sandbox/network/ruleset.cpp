#include "sandbox/network/ruleset.h"

#include <arpa/inet.h>
#include <linux/if_ether.h>
#include <linux/netfilter.h>
#include <linux/netfilter_bridge.h>
#include <netinet/in.h>

#include <array>
#include <charconv>

#include "sandbox/network/addresses.h"
#include "sandbox/network/elements.h"

namespace cloister::network {
namespace {

constexpr Family kInet = Family::inet;
constexpr Family kBridge = Family::bridge;

// Hook priorities of netfilter: before connection tracking, beside other filters, behind them, source NAT.
constexpr std::int32_t kRaw = -300;
constexpr std::int32_t kFilter = 0;
constexpr std::int32_t kAfterFilter = 10;
constexpr std::int32_t kSourceNat = 100;

// Numbers of libnftables' data types.
constexpr std::uint32_t kTypeIpv4 = 7;
constexpr std::uint32_t kTypeEther = 9;
constexpr std::uint32_t kTypePort = 13;
constexpr std::uint32_t kTypeGroup = 35;
constexpr std::uint32_t kTypeName = 41;
constexpr std::uint32_t concat(std::uint32_t a, std::uint32_t b) {
  return (a << 6U) | b;
}

std::string port(std::uint16_t number) {
  return std::string(bytesOf(htons(number)));
}
std::string byte(int value) {
  return std::string(1, static_cast<char>(value));
}

Expressions fromTenant() {
  return groupIsSet(Field::inputGroup) + equals(Field::inputName, "cl");
}
Expressions toTenant() {
  return groupIsSet(Field::outputGroup) + equals(Field::outputName, "cl");
}
Expressions withinTenant() {
  return inSet({Field::inputGroup, Field::outputGroup}, kTenants);
}
Expressions ipv4() {
  return equals(Field::family, byte(NFPROTO_IPV4));
}
Expressions transport(int protocol) {
  return equals(Field::transport, byte(protocol));
}
Expressions tooManyConnections() {
  return connectionsOver(Field::inputGroup, kConnections, kConnectionLimit);
}

void addSets(Batch& batch) {
  addSet(batch, kInet, {kSources, SetKind::plain, 20, concat(kTypeName, kTypeIpv4), 1});
  addSet(batch, kInet, {kTenants, SetKind::plain, 8, concat(kTypeGroup, kTypeGroup), 2});
  addSet(batch, kInet, {kBytesSent, SetKind::counted, 4, kTypeGroup, 3, KeyOrder::host});
  addSet(batch, kInet, {kBytesReceived, SetKind::counted, 4, kTypeGroup, 4, KeyOrder::host});
  addSet(batch, kInet, {kConnections, SetKind::bounded, 4, kTypeGroup, 5, KeyOrder::host});
  addSet(batch, kInet, {kDenied, SetKind::intervals, 4, kTypeIpv4, 6});
  addSet(batch, kInet, {kEgress, SetKind::verdicts, 4, kTypeGroup, 7, KeyOrder::host});
  addSet(batch, kInet, {kQuestions, SetKind::bounded, 4, kTypeGroup, 8, KeyOrder::host});
  addSet(batch, kInet, {kDnsConnections, SetKind::bounded, 4, kTypeGroup, 9, KeyOrder::host});
  constexpr std::uint32_t kEnds = 12;  // address, and two ports of 2 padded to 4
  constexpr std::uint32_t kTypeEnds = concat(concat(kTypeIpv4, kTypePort), kTypePort);
  constexpr std::uint64_t kSeenMilliseconds = 10'000;
  addSet(batch, kInet, {kResetsHeld, SetKind::timed, kEnds, kTypeEnds, 10, KeyOrder::network, kHeldMilliseconds});
  addSet(batch, kInet, {kResetsSeen, SetKind::timed, kEnds, kTypeEnds, 11, KeyOrder::network, kSeenMilliseconds});
  addRanges(batch, kDenied, deniedRanges());
}

void addPrerouting(Batch& batch) {
  addChain(batch, kInet, "tenant_source");
  addRule(batch, kInet, "tenant_source", ipv4() + inSet({Field::inputName, Field::ip4Source}, kSources) + accept());
  addRule(batch, kInet, "tenant_source", count() + drop());
  addBaseChain(batch, kInet, "prerouting", {"filter", NF_INET_PRE_ROUTING, kRaw});
  addRule(batch, kInet, "prerouting", equals(Field::inputGroup, std::string(4, '\0')) + accept());
  addRule(batch, kInet, "prerouting", equals(Field::inputName, "cl") + goTo("tenant_source"));
  // Frames to 01:80:c2:00:00:0x are handed up by the port itself, past the bridge.
  addRule(batch, kInet, "prerouting", equals(Field::inputName, "cv") + count() + drop());
}

void addInput(Batch& batch) {
  const auto question = [](int protocol) {
    return ipv4() + equals(Field::ip4Destination, wireOf(kDnsAddress)) + transport(protocol) +
           equals(Field::destinationPort, port(53));
  };
  addChain(batch, kInet, "tenant_to_host");
  const Expressions reset = transport(IPPROTO_TCP) + tcpReset() + ipv4() + openerSentOver(kHeldAboveBytes);
  const std::vector<Field> ends = {Field::ip4Source, Field::sourcePort, Field::destinationPort};
  addRule(batch, kInet, "tenant_to_host",
          reset + notInSet(ends, kResetsSeen) + remember(ends, kResetsSeen) + remember(ends, kResetsHeld) + drop());
  addRule(batch, kInet, "tenant_to_host", reset + inSet(ends, kResetsHeld) + drop());
  // Before what is established: one socket may ask any number of questions.
  addRule(batch, kInet, "tenant_to_host",
          question(IPPROTO_UDP) + packetsOver(Field::inputGroup, kQuestions, kQuestionLimit) + count() + drop());
  addRule(batch, kInet, "tenant_to_host", connectionState(kStateEstablished | kStateRelated) + accept());
  addRule(batch, kInet, "tenant_to_host",
          question(IPPROTO_TCP) + connectionsOver(Field::inputGroup, kDnsConnections, kDnsConnectionLimit) + count() +
              drop());
  for (const int protocol : {IPPROTO_UDP, IPPROTO_TCP}) {
    addRule(batch, kInet, "tenant_to_host", question(protocol) + tooManyConnections() + count() + drop());
    addRule(batch, kInet, "tenant_to_host", question(protocol) + accept());
  }
  addRule(batch, kInet, "tenant_to_host", count() + drop());
  addBaseChain(batch, kInet, "input", {"filter", NF_INET_LOCAL_IN, kFilter});
  addRule(batch, kInet, "input", fromTenant() + goTo("tenant_to_host"));
}

void addForward(Batch& batch) {
  addChain(batch, kInet, kEgressNone);
  addRule(batch, kInet, kEgressNone, count() + drop());
  addChain(batch, kInet, kEgressInternet);
  addRule(batch, kInet, kEgressInternet, connectionState(kStateEstablished | kStateRelated) + accept());
  addRule(batch, kInet, kEgressInternet, connectionState(kStateInvalid) + count() + drop());
  addRule(batch, kInet, kEgressInternet, ipv4() + inSet({Field::ip4Destination}, kDenied) + count() + drop());
  addRule(batch, kInet, kEgressInternet,
          transport(IPPROTO_TCP) + equals(Field::destinationPort, port(25)) + count() + rejectTcp());
  addRule(batch, kInet, kEgressInternet, tooManyConnections() + count() + drop());
  addRule(batch, kInet, kEgressInternet, ipv4() + accept());
  addRule(batch, kInet, kEgressInternet, count() + drop());

  addChain(batch, kInet, "from_tenant");
  addRule(batch, kInet, "from_tenant", toTenant() + count() + drop());
  addRule(batch, kInet, "from_tenant", verdictFrom(Field::inputGroup, kEgress));
  addRule(batch, kInet, "from_tenant", count() + drop());
  addChain(batch, kInet, "to_tenant");
  addRule(batch, kInet, "to_tenant", connectionState(kStateEstablished | kStateRelated) + accept());
  addRule(batch, kInet, "to_tenant", count() + drop());

  addBaseChain(batch, kInet, "forward", {"filter", NF_INET_FORWARD, kFilter});
  addRule(batch, kInet, "forward", withinTenant() + accept());
  addRule(batch, kInet, "forward", fromTenant() + goTo("from_tenant"));
  addRule(batch, kInet, "forward", toTenant() + goTo("to_tenant"));
}

void addCounting(Batch& batch) {
  const Expressions sent = inSet({Field::inputGroup}, kBytesSent);
  const Expressions received = inSet({Field::outputGroup}, kBytesReceived);
  addBaseChain(batch, kInet, "input_bytes", {"filter", NF_INET_LOCAL_IN, kAfterFilter});
  addRule(batch, kInet, "input_bytes", sent);
  addBaseChain(batch, kInet, "forward_bytes", {"filter", NF_INET_FORWARD, kAfterFilter});
  addRule(batch, kInet, "forward_bytes", withinTenant() + accept());
  addRule(batch, kInet, "forward_bytes", sent);
  addRule(batch, kInet, "forward_bytes", received);
  addBaseChain(batch, kInet, "output_bytes", {"filter", NF_INET_LOCAL_OUT, kAfterFilter});
  addRule(batch, kInet, "output_bytes", received);
  addBaseChain(batch, kInet, "postrouting", {"nat", NF_INET_POST_ROUTING, kSourceNat});
  addRule(batch, kInet, "postrouting", fromTenant() + differs(Field::outputName, "cl") + masquerade());
}

void addBridgeTable(Batch& batch) {
  constexpr std::uint32_t kPortKey = 28;  // name 16, MAC 6 padded to 8, address 4
  addSet(batch, kBridge, {kPorts, SetKind::plain, kPortKey, concat(concat(kTypeName, kTypeEther), kTypeIpv4), 1});
  addChain(batch, kBridge, "port");
  addRule(batch, kBridge, "port",
          equals(Field::etherType, port(ETH_P_IP)) +
              inSet({Field::inputName, Field::etherSource, Field::ip4Source}, kPorts) + accept());
  addRule(batch, kBridge, "port",
          equals(Field::etherType, port(ETH_P_ARP)) +
              inSet({Field::inputName, Field::etherSource, Field::arpSenderIp}, kPorts) +
              inSet({Field::inputName, Field::arpSenderMac, Field::arpSenderIp}, kPorts) + accept());
  addRule(batch, kBridge, "port", count() + drop());
  addBaseChain(batch, kBridge, "prerouting", {"filter", NF_BR_PRE_ROUTING, kRaw});
  addRule(batch, kBridge, "prerouting", groupIsSet(Field::inputGroup) + equals(Field::inputName, "cv") + goTo("port"));
  addSet(batch, kBridge, {kBytesSent, SetKind::counted, 4, kTypeGroup, 2, KeyOrder::host});
  addSet(batch, kBridge, {kBytesReceived, SetKind::counted, 4, kTypeGroup, 3, KeyOrder::host});
  const Expressions packet = equals(Field::inputName, "cv") + equals(Field::etherType, port(ETH_P_IP));
  addBaseChain(batch, kBridge, "forward_bytes", {"filter", NF_BR_FORWARD, kAfterFilter});
  addRule(batch, kBridge, "forward_bytes", packet + inSet({Field::inputGroup}, kBytesSent));
  addRule(batch, kBridge, "forward_bytes", packet + inSet({Field::outputGroup}, kBytesReceived));
}

void addTables(Batch& batch, Ports ports, const std::string& comment) {
  addTable(batch, kInet, comment);
  addSets(batch);
  addPrerouting(batch);
  addInput(batch);
  addForward(batch);
  addCounting(batch);
  if (ports == Ports::unsupported) return;
  addTable(batch, kBridge, comment);
  addBridgeTable(batch);
}

// FNV-1a: it has to tell our own versions apart, no more.
std::uint64_t fingerprint(std::string_view bytes) {
  std::uint64_t hash = 0xcbf29ce484222325U;
  for (const char c : bytes) {
    hash ^= static_cast<std::uint8_t>(c);
    hash *= 0x100000001b3U;
  }
  return hash;
}

}  // namespace

void addRuleset(Batch& batch, Ports ports) {
  addTables(batch, ports, rulesetVersion());
}

std::string rulesetVersion() {
  static const std::string version = [] {
    Batch batch;
    addTables(batch, Ports::pinned, "");
    batch.end();
    std::array<char, 20> digits{};
    const auto end = std::to_chars(digits.data(), digits.data() + digits.size(), fingerprint(batch.bytes()), 16).ptr;
    return "cloister rules " + std::string(digits.data(), end);
  }();
  return version;
}

}  // namespace cloister::network
