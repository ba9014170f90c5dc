// Network: a bridge a tenant, a veth pair an instance, one nftables table with a constant number of rules; all over
// netlink.
//
// Table "inet cloister" (+ "bridge cloister" where the kernel has it): per-tenant state only in set and map elements.
// Device group = tenant index (0: host and uplink). Source addresses are pinned to their link. A tenant reaches itself
// and what its egress policy allows; never another tenant, the host, a private range or a metadata address. The host's
// DNS forwarder is at kDnsAddress (an address of the loopback device), reachable at port 53 from every bridge.
//
// Bytes are those of IP packets, headers included, that passed between a tenant's bridge and the host in either
// direction (internet, edge proxy, DNS); switched packets of one tenant are internal. ruleset.h draws the tables,
// shaping.h the rate. Another program that flushes the kernel's whole ruleset takes ours with it until the next open().
//
// Life cycle: open -> putTenant -> (link -> instance's namespace dies) -> removeTenant -> close().
// Threads: not shared. Failures: Error{stage "network", operation, object, errno}. A failed call leaves nothing
// half-made. Preconditions: CAP_NET_ADMIN in the current network namespace and, for link(), in the child's.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "sandbox/base/launcher_protocol.h"

namespace cloister::network {

class Network {
 public:
  // Installs or adopts table, sysctls (ip_forward; accept_ra=0, disable_ipv6 on our links) and the DNS address. Set
  // elements of tenants that exist are kept: a restart changes nothing that packets notice.
  [[nodiscard]] static Result<std::unique_ptr<Network>> open();
  ~Network();
  Network(const Network&) = delete;
  Network& operator=(const Network&) = delete;

  [[nodiscard]] Status putTenant(TenantIndex tenant, std::uint64_t bitsPerSecond, launcher::Egress egress);
  [[nodiscard]] Status removeTenant(TenantIndex tenant);

  // Makes the pair, puts one end as "eth0" into the network namespace `netns` (descriptor), pins address and MAC on the
  // host end and sets it up. The rest is done inside: inner_end.h. Never waits for another link's teardown, but for one
  // of the same address.
  [[nodiscard]] Status link(TenantIndex tenant, Ipv4 address, int netns);
  // Forgets the pins of an address whose namespace is gone. Does not wait for the link's deletion.
  [[nodiscard]] Status unlink(TenantIndex tenant, Ipv4 address);

  // Bytes of every tenant since its first putTenant on this boot, by tenant; never reset by us.
  [[nodiscard]] Result<std::vector<launcher::NetworkUsage>> usage();

  // Deletes the tables, every link in our groups and the DNS address: for --purge and for tests. ip_forward stays on:
  // others may have come to need it.
  [[nodiscard]] static Status removeAll();

 private:
  struct State;
  explicit Network(std::unique_ptr<State> state);
  std::unique_ptr<State> state_;
};

}  // namespace cloister::network
