// A tenant's elements in the sets of the ruleset: adding, removing and reading them.
//
// add... functions append to a transaction. Adding what is there is no error and keeps a counter's value; removing what
// is not there fails the whole transaction with ENOENT. Threads: as the socket. Failures: Error{stage "network",
// operation, set, errno}.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "sandbox/base/launcher_protocol.h"
#include "sandbox/network/addresses.h"
#include "sandbox/network/netlink_socket.h"
#include "sandbox/network/rules_builder.h"
#include "sandbox/network/ruleset.h"

namespace cloister::network {

struct Counter {
  std::uint64_t bytes = 0;
  std::uint64_t packets = 0;
};

// What a tenant's elements have counted. Internal is counted by the bridge family's table.
struct Traffic {
  Counter externalSent;
  Counter externalReceived;
  Counter internalSent;
  Counter internalReceived;
};

enum class Change { add, remove };

void addRanges(Batch& batch, const char* set, const std::vector<Range>& ranges);
// Where an instance's packets come from: its bridge and address, its port and MAC.
void addSource(Batch& batch, Change change, Ipv4 address, Ports ports);
void addTenantElements(Batch& batch, Change change, TenantIndex tenant, const Traffic& traffic, Ports ports);
void addEgress(Batch& batch, Change change, TenantIndex tenant, launcher::Egress egress);
// Of a set whose entries rules make.
void addForget(Batch& batch, const char* set, TenantIndex tenant);

// The comment of our table in `family`; none when there is no such table.
[[nodiscard]] Result<std::optional<std::string>> readVersion(Socket& netfilter, Family family);
[[nodiscard]] Result<std::vector<Ipv4>> readSources(Socket& netfilter);
[[nodiscard]] Result<std::map<TenantIndex, launcher::Egress>> readEgress(Socket& netfilter);
[[nodiscard]] Result<std::map<TenantIndex, Counter>> readCounters(Socket& netfilter, Family family, const char* set);

// One element of a dump, for the readers above.
struct Element {
  std::string key;
  std::string chain;  // of a verdict
  Counter counter;
};
[[nodiscard]] std::vector<Element> parseElements(std::string_view payload);
// Text of a comment in a table's user data; empty for anything else.
[[nodiscard]] std::string parseComment(std::string_view userdata);

}  // namespace cloister::network
