// nftables objects as netlink messages: tables, chains, sets and rules made of expressions.
//
// An Expressions value is an encoded run of expressions; `a + b` evaluates b where a matched. A rule is one Expressions
// in a chain. Register use is inside each function: none needs another's register. Threads: values. Failures: none; the
// kernel judges the batch.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "sandbox/network/message.h"

namespace cloister::network {

enum class Family : std::uint8_t { inet = 1, bridge = 7 };  // NFPROTO_INET, NFPROTO_BRIDGE
inline constexpr const char* kTable = "cloister";

class Expressions {
 public:
  Expressions() = default;
  explicit Expressions(std::string bytes) : bytes_(std::move(bytes)) {}
  [[nodiscard]] Expressions operator+(const Expressions& after) const { return Expressions(bytes_ + after.bytes_); }
  [[nodiscard]] const std::string& bytes() const { return bytes_; }

 private:
  std::string bytes_;
};

// A value that expressions load into a register. Fields of a key stand behind each other, each padded to four bytes.
enum class Field {
  inputGroup,   // meta iifgroup
  outputGroup,  // meta oifgroup
  inputName,    // meta iifname
  outputName,   // meta oifname
  family,       // meta nfproto
  transport,    // meta l4proto
  etherType,
  etherSource,
  ip4Source,
  ip4Destination,
  arpSenderMac,
  arpSenderIp,
  sourcePort,
  destinationPort,
};
// As the field stands in its register: groups in host order, ports and ether types in network order.
[[nodiscard]] Expressions equals(Field field, std::string_view value);
[[nodiscard]] Expressions differs(Field field, std::string_view value);
[[nodiscard]] Expressions groupIsSet(Field group);  // not 0
[[nodiscard]] Expressions inSet(const std::vector<Field>& key, const char* set);
[[nodiscard]] Expressions notInSet(const std::vector<Field>& key, const char* set);
// Makes the set's entry for `key`, for the set's time; one that is there keeps its own.
[[nodiscard]] Expressions remember(const std::vector<Field>& key, const char* set);
[[nodiscard]] Expressions tcpReset();
// Matches when the side that opened the connection has sent more, as IP packets. The kernel counts with
// nf_conntrack_acct.
[[nodiscard]] Expressions openerSentOver(std::uint64_t bytes);
[[nodiscard]] Expressions verdictFrom(Field key, const char* map);
[[nodiscard]] Expressions connectionState(std::uint32_t anyOf);  // bits as of stateBit
inline constexpr std::uint32_t kStateInvalid = 1;
inline constexpr std::uint32_t kStateEstablished = 2;
inline constexpr std::uint32_t kStateRelated = 4;
// Matches when the set's entry for `key` has more than `limit` connections; makes the entry.
[[nodiscard]] Expressions connectionsOver(Field key, const char* set, std::uint32_t limit);
// Matches when more packets than that have come to this rule for the set's entry for `key`; makes the entry.
struct Rate {
  std::uint32_t perSecond = 0;
  std::uint32_t burst = 0;
};
[[nodiscard]] Expressions packetsOver(Field key, const char* set, const Rate& rate);

[[nodiscard]] Expressions count();
[[nodiscard]] Expressions accept();
[[nodiscard]] Expressions drop();
[[nodiscard]] Expressions goTo(const char* chain);
[[nodiscard]] Expressions rejectTcp();
[[nodiscard]] Expressions masquerade();

void addTable(Batch& batch, Family family, const std::string& comment);
void addRemoveTable(Batch& batch, Family family);

struct Hook {
  const char* type = "filter";
  std::uint32_t number = 0;  // NF_INET_... or NF_BR_...
  std::int32_t priority = 0;
};
void addChain(Batch& batch, Family family, const char* name);
void addBaseChain(Batch& batch, Family family, const char* name, const Hook& hook);  // policy accept
void addRule(Batch& batch, Family family, const char* chain, const Expressions& expressions);

// bounded: entries are made by the ...Over rules; timed: by remember(), and each ends after `milliseconds`.
enum class SetKind { plain, counted, intervals, verdicts, bounded, timed };
enum class KeyOrder { network, host };
struct SetShape {
  const char* name = "";
  SetKind kind = SetKind::plain;
  std::uint32_t keyBytes = 0;
  std::uint32_t keyType = 0;  // for `nft list` alone: data type numbers of libnftables, six bits a field
  std::uint32_t id = 0;       // unique in its batch
  KeyOrder keyOrder = KeyOrder::network;
  std::uint64_t milliseconds = 0;
};
void addSet(Batch& batch, Family family, const SetShape& shape);

// A verdict as an attribute run: of an immediate expression or a map element.
void putVerdict(Encoder& encoder, std::uint16_t attribute, std::int32_t code, const char* chain);

// Starts and ends what nftables takes as one transaction.
void beginTransaction(Batch& batch);
void endTransaction(Batch& batch);
// Header of a message about `family`: `message` is NFT_MSG_...
void beginObject(Batch& batch, Family family, std::uint16_t message, std::uint16_t flags, const char* label);

}  // namespace cloister::network
