// Network bytes of a tenant as the server gets them, held against what both ends of its traffic count of themselves.
//
//   peer 203.0.113.2 -- host -- bridge of tn-0 -- client, server
//
// The client talks to a peer outside (bulk both ways, and small datagrams), to the server beside it, and into the void:
// to a denied network and to another tenant. The host, as the edge proxy does, fetches from the server. What is
// counted are bytes of IP packets, headers included (sandbox/network/ruleset.h); external and internal are held apart
// from each other. Meanwhile the node is killed and the launcher replaced.
#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <csignal>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <memory>
#include <stdexcept>
#include <thread>
#include <vector>

#include "tests/bench/bench_node.h"
#include "tests/bench/commands.h"
#include "tests/bench/metering_modes.h"
#include "tests/bench/metering_truth.h"
#include "tests/bench/packet_count.h"

namespace cloister::bench {
namespace {

using metering::Meter;

constexpr Ipv4 kPeer = 0xcb007102U;  // 203.0.113.2
constexpr std::uint16_t kPort = 9000;
constexpr const char* kPlan = R"(
ip link add up0 type veth peer name eth0 netns PEER
ip addr add 203.0.113.1/24 dev up0
ip link set lo up
ip link set up0 up
nsenter --net=/proc/PEER/ns/net sh -c 'ip addr add 203.0.113.2/24 dev eth0 && ip link set eth0 up &&
  ip route add default via 203.0.113.1'
)";

// A process whose network namespace is the world outside.
class Outside {
 public:
  Outside() {
    pid_ = ::fork();
    if (pid_ == 0) {
      if (::unshare(CLONE_NEWNET) != 0) ::_exit(1);
      for (;;) ::pause();
    }
    const auto own = std::filesystem::read_symlink("/proc/self/ns/net");
    while (std::filesystem::read_symlink("/proc/" + std::to_string(pid_) + "/ns/net") == own) ::usleep(1000);
    std::string plan = kPlan;
    for (auto at = plan.find("PEER"); at != std::string::npos; at = plan.find("PEER")) {
      plan.replace(at, 4, std::to_string(pid_));
    }
    shell("set -e\n" + plan);
    inNamespaceOf(pid_, [this] { listen(); });
    thread_ = std::thread([this] { serve(); });
  }
  ~Outside() {
    ::shutdown(listener_.get(), SHUT_RDWR);
    thread_.join();
    ::kill(pid_, SIGKILL);
    ::waitpid(pid_, nullptr, 0);
  }
  Outside(const Outside&) = delete;
  Outside& operator=(const Outside&) = delete;
  [[nodiscard]] pid_t pid() const { return pid_; }

 private:
  void listen() {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(kPort);
    address.sin_addr.s_addr = htonl(kPeer);
    listener_.reset(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
    datagrams_.reset(::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
    for (const auto* socket : {&listener_, &datagrams_}) {
      if (::bind(socket->get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0)
        throw std::runtime_error("bind failed");
    }
    if (::listen(listener_.get(), 8) != 0) throw std::runtime_error("listen failed");
  }
  // Takes all that a client sends, then sends back as much.
  void serve() {
    std::vector<char> block(65'536, 'x');
    for (;;) {
      const UniqueFd client(::accept4(listener_.get(), nullptr, nullptr, SOCK_CLOEXEC));
      if (!client) return;
      std::size_t got = 0;
      for (ssize_t size = 1; size > 0; got += static_cast<std::size_t>(std::max<ssize_t>(size, 0)))
        size = ::recv(client.get(), block.data(), block.size(), 0);
      while (got > 0) {
        const ssize_t sent = ::send(client.get(), block.data(), std::min(got, block.size()), MSG_NOSIGNAL);
        if (sent <= 0) break;
        got -= static_cast<std::size_t>(sent);
      }
    }
  }

  pid_t pid_ = -1;
  UniqueFd listener_;
  UniqueFd datagrams_;  // nobody reads them: that they arrive is enough
  std::thread thread_;
};

std::string clientScript(unsigned megabytes, const std::string& server, const std::string& stranger) {
  const std::string peer = " 203.0.113.2 9000";
  return "sleep 6; "  // until the counts have begun
         "dd if=/dev/zero bs=1M count=" +
         std::to_string(megabytes) + " 2>/dev/null | nc" + peer +
         " >/dev/null; "
         "for i in 1 2 3; do busybox timeout 2 busybox nslookup name$i 203.0.113.2; done >/dev/null 2>&1; "
         "for i in 1 2 3; do busybox wget -q -O /dev/null http://" +
         server +
         ":8080/large; done; "
         "for to in 192.168.77.2 " +
         stranger +
         "; do nc -w 1 $to 9; busybox timeout 2 busybox nslookup name $to; done >/dev/null 2>&1 </dev/null; "
         "sleep 4; "  // the node is killed about here
         "dd if=/dev/zero bs=64k count=8 2>/dev/null | nc" +
         peer +
         " >/dev/null; "
         "busybox wget -q -O /dev/null http://" +
         server +
         ":8080/page; "
         "echo traffic over; exec sleep 86400";
}

std::string dotted(Ipv4 address) {
  in_addr in{htonl(address)};
  char text[INET_ADDRSTRLEN] = {};
  return ::inet_ntop(AF_INET, &in, text, sizeof text) == nullptr ? std::string() : std::string(text);
}

pid_t initOf(const Host& host, const std::string& container) {
  std::ifstream file(unifiedGroup(host.cgroupRoot()) + "/t" + std::to_string(kFirstTenant) + "/" + container +
                     "/cgroup.procs");
  pid_t pid = -1;
  if (!(file >> pid)) throw std::runtime_error(container + " does not run");
  return pid;
}

bool saysOver(const Host& host) {
  std::ifstream log(host.path("state/node/instances/client/log/current"));
  for (std::string line; std::getline(log, line);) {
    if (line.find("traffic over") != std::string::npos) return true;
  }
  return false;
}

struct Metered {
  Bytes external;
  Bytes internal;
};

Metered meteredBy(test::FakeServer& server) {
  Metered sum;
  for (const auto& row : server.usage()) {
    if (row.tenantId != "tn-0") continue;
    if (row.meter == Meter::networkExternalIn) sum.external.received += row.quantity;
    if (row.meter == Meter::networkExternalOut) sum.external.sent += row.quantity;
    if (row.meter == Meter::networkInternalIn) sum.internal.received += row.quantity;
    if (row.meter == Meter::networkInternalOut) sum.internal.sent += row.quantity;
  }
  return sum;
}

bool equal(const char* name, std::uint64_t metered, std::uint64_t peers, std::uint64_t own) {
  const bool same = metered == peers && metered == own;
  std::printf("  %-18s %14llu %14llu %14llu   %s\n", name, static_cast<unsigned long long>(metered),
              static_cast<unsigned long long>(peers), static_cast<unsigned long long>(own), same ? "equal" : "DIFFERS");
  return same;
}

}  // namespace

bool meterNetwork(const std::string& binaries, Size size) {
  Host host(binaries, kNodeUser);
  host.startLauncher();
  const Outside outside;
  Node node(host);
  constexpr unsigned kClient = 10;
  constexpr unsigned kServer = 11;
  const Ipv4 gateway = gatewayOf(kFirstTenant);  // the host's address on the bridge
  const Ipv4 server = gateway + kServer;
  auto work = workOf(host, 2);
  work.instances.push_back(instanceOf(host, "server", 0, kServer, "exec httpd -f -p 8080 -h /etc"));
  work.instances.push_back(instanceOf(host, "stranger", 1, 10, "exec sleep 86400"));
  const unsigned megabytes = size == Size::quick ? 4 : 400;
  work.instances.push_back(instanceOf(
      host, "client", 0, kClient, clientScript(megabytes, dotted(server), dotted(gatewayOf(kFirstTenant + 1) + 10))));
  node.want(work, 60);

  PacketCount peer(outside.pid(), "eth0");
  PacketCount bridge(::getpid(), "cl" + std::to_string(kFirstTenant), gateway);
  PacketCount client(initOf(host, "client-1"), "eth0");
  PacketCount served(initOf(host, "server-1"), "eth0");
  // As the edge proxy does.
  const std::string fetch = "busybox wget -q -O /dev/null http://" + dotted(server) + ":8080/";
  shell(fetch + "large");
  for (int waited = 0; !saysOver(host); ++waited) {
    if (waited == 150) {
      node.stop(SIGKILL);
      host.replaceLauncher();
      shell(fetch + "large");  // nobody reads the counters meanwhile
      node.start();
    }
    if (waited > 2400) throw std::runtime_error("the traffic does not end");
    std::this_thread::sleep_for(std::chrono::milliseconds(100));
  }
  shell(fetch + "page");
  std::this_thread::sleep_for(std::chrono::seconds(1));

  const auto inside = [&](Ipv4 address) { return ownsAddress(kFirstTenant, address) && address != gateway; };
  const auto all = [](Ipv4) { return true; };
  Bytes peers = peer.with(all);
  peers += bridge.with(all);
  const auto outsider = [&](Ipv4 address) { return address == kPeer || address == gateway; };
  Bytes own = client.with(outsider);
  own += served.with(outsider);
  const Bytes voided = client.with([&](Ipv4 address) { return !inside(address) && !outsider(address); });
  const Bytes atServer = served.with(inside);
  const Bytes atClient = client.with(inside);

  Metered metered;
  for (int tries = 0; tries < 40; ++tries) {
    metered = meteredBy(node.server());
    if (metered.external.sent >= peers.received && metered.internal.sent >= atServer.received + atClient.received)
      break;
    std::this_thread::sleep_for(std::chrono::seconds(1));
  }
  std::this_thread::sleep_for(std::chrono::seconds(12));  // and what would be too much
  metered = meteredBy(node.server());

  std::printf(
      "bytes of IP packets of a tenant, %u MiB to a peer and back; node and launcher were killed once\n"
      "  %-18s %14s %14s %14s\n",
      megabytes, "", "metered", "its peers", "instances");
  bool good = equal("external sent", metered.external.sent, peers.received, own.sent);
  good = equal("external received", metered.external.received, peers.sent, own.received) && good;
  good = equal("internal sent", metered.internal.sent, atServer.received + atClient.received,
               atServer.sent + atClient.sent) &&
         good;
  good = equal("internal received", metered.internal.received, atServer.sent + atClient.sent,
               atServer.received + atClient.received) &&
         good;
  const unsigned lost = peer.lost() + bridge.lost() + client.lost() + served.lost();
  std::printf("  sent into the void: %llu bytes, metered nowhere; %u packets were not counted by a peer\n",
              static_cast<unsigned long long>(voided.sent), lost);
  for (const auto& row : node.server().usage()) {
    if (row.meter == Meter::gap) std::printf("  gap row: %s %s\n", row.instanceId.c_str(), row.note.c_str());
  }
  return good && lost == 0 && voided.sent > 0 && atServer.sent > 0;
}

}  // namespace cloister::bench
