#include "sandbox/network/rules_builder.h"

#include <arpa/inet.h>
#include <endian.h>
#include <linux/netfilter.h>
#include <linux/netfilter/nf_conntrack_tuple_common.h>
#include <linux/netfilter/nf_tables.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/netlink.h>

namespace cloister::network {
namespace {

struct Load {
  const char* expression;  // "meta" or "payload"
  std::uint32_t key;       // meta key, or payload base
  std::uint32_t offset;
  std::uint32_t length;
};

Load loadOf(Field field) {
  switch (field) {
    case Field::inputGroup:
      return {"meta", NFT_META_IIFGROUP, 0, 4};
    case Field::outputGroup:
      return {"meta", NFT_META_OIFGROUP, 0, 4};
    case Field::inputName:
      return {"meta", NFT_META_IIFNAME, 0, 16};
    case Field::outputName:
      return {"meta", NFT_META_OIFNAME, 0, 16};
    case Field::family:
      return {"meta", NFT_META_NFPROTO, 0, 1};
    case Field::transport:
      return {"meta", NFT_META_L4PROTO, 0, 1};
    case Field::etherType:
      return {"payload", NFT_PAYLOAD_LL_HEADER, 12, 2};
    case Field::etherSource:
      return {"payload", NFT_PAYLOAD_LL_HEADER, 6, 6};
    case Field::ip4Source:
      return {"payload", NFT_PAYLOAD_NETWORK_HEADER, 12, 4};
    case Field::ip4Destination:
      return {"payload", NFT_PAYLOAD_NETWORK_HEADER, 16, 4};
    case Field::arpSenderMac:
      return {"payload", NFT_PAYLOAD_NETWORK_HEADER, 8, 6};
    case Field::arpSenderIp:
      return {"payload", NFT_PAYLOAD_NETWORK_HEADER, 14, 4};
    case Field::sourcePort:
      return {"payload", NFT_PAYLOAD_TRANSPORT_HEADER, 0, 2};
    case Field::destinationPort:
      return {"payload", NFT_PAYLOAD_TRANSPORT_HEADER, 2, 2};
  }
  return {"meta", NFT_META_IIFGROUP, 0, 4};
}

template <typename Fill>
Expressions expression(const char* name, Fill fill) {
  Encoder encoder;
  const auto element = encoder.nest(NFTA_LIST_ELEM);
  encoder.text(NFTA_EXPR_NAME, name);
  const auto data = encoder.nest(NFTA_EXPR_DATA);
  fill(encoder);
  encoder.close(data);
  encoder.close(element);
  return Expressions(encoder.bytes());
}

Expressions load(Field field, std::uint32_t destination) {
  const Load what = loadOf(field);
  return expression(what.expression, [&](Encoder& encoder) {
    if (std::string_view(what.expression) == "meta") {
      encoder.be32(NFTA_META_KEY, what.key);
      encoder.be32(NFTA_META_DREG, destination);
    } else {
      encoder.be32(NFTA_PAYLOAD_DREG, destination);
      encoder.be32(NFTA_PAYLOAD_BASE, what.key);
      encoder.be32(NFTA_PAYLOAD_OFFSET, what.offset);
      encoder.be32(NFTA_PAYLOAD_LEN, what.length);
    }
  });
}

void value(Encoder& encoder, std::uint16_t attribute, std::string_view bytes) {
  const auto data = encoder.nest(attribute);
  encoder.put(NFTA_DATA_VALUE, bytes);
  encoder.close(data);
}

Expressions compare(std::uint32_t operation, std::string_view bytes) {
  return expression("cmp", [&](Encoder& encoder) {
    encoder.be32(NFTA_CMP_SREG, NFT_REG32_00);
    encoder.be32(NFTA_CMP_OP, operation);
    value(encoder, NFTA_CMP_DATA, bytes);
  });
}

Expressions verdict(std::int32_t code, const char* chain = nullptr) {
  return expression("immediate", [&](Encoder& encoder) {
    encoder.be32(NFTA_IMMEDIATE_DREG, NFT_REG_VERDICT);
    putVerdict(encoder, NFTA_IMMEDIATE_DATA, code, chain);
  });
}

Expressions loadKey(const std::vector<Field>& key) {
  Expressions all;
  std::uint32_t at = NFT_REG32_00;
  for (const Field field : key) {
    all = all + load(field, at);
    at += (loadOf(field).length + 3U) / 4U;
  }
  return all;
}

enum class Found { matches, differs, decides };
Expressions lookup(const std::vector<Field>& key, const char* set, Found found) {
  return loadKey(key) + expression("lookup", [&](Encoder& encoder) {
           encoder.text(NFTA_LOOKUP_SET, set);
           encoder.be32(NFTA_LOOKUP_SREG, NFT_REG32_00);
           if (found == Found::decides) encoder.be32(NFTA_LOOKUP_DREG, NFT_REG_VERDICT);
           if (found == Found::differs) encoder.be32(NFTA_LOOKUP_FLAGS, NFT_LOOKUP_F_INV);
         });
}

void batchMark(Batch& batch, std::uint16_t type) {
  batch.begin(type, 0, "nftables transaction");
  nfgenmsg header{};
  header.nfgen_family = AF_UNSPEC;
  header.version = NFNETLINK_V0;
  header.res_id = htons(NFNL_SUBSYS_NFTABLES);
  batch.header(header);
}

// A set's entry for the key, made where it is missing, with an expression of its own that says whether the rule
// matches.
template <typename Fill>
Expressions perEntry(Field key, const char* set, const char* name, Fill fill) {
  return load(key, NFT_REG32_00) + expression("dynset", [&](Encoder& encoder) {
           encoder.text(NFTA_DYNSET_SET_NAME, set);
           encoder.be32(NFTA_DYNSET_OP, NFT_DYNSET_OP_ADD);
           encoder.be32(NFTA_DYNSET_SREG_KEY, NFT_REG32_00);
           const auto inner = encoder.nest(NFTA_DYNSET_EXPR);
           encoder.text(NFTA_EXPR_NAME, name);
           const auto data = encoder.nest(NFTA_EXPR_DATA);
           fill(encoder);
           encoder.close(data);
           encoder.close(inner);
         });
}

}  // namespace

Expressions equals(Field field, std::string_view bytes) {
  return load(field, NFT_REG32_00) + compare(NFT_CMP_EQ, bytes);
}
Expressions differs(Field field, std::string_view bytes) {
  return load(field, NFT_REG32_00) + compare(NFT_CMP_NEQ, bytes);
}
Expressions groupIsSet(Field group) {
  return differs(group, std::string(4, '\0'));
}
Expressions inSet(const std::vector<Field>& key, const char* set) {
  return lookup(key, set, Found::matches);
}
Expressions notInSet(const std::vector<Field>& key, const char* set) {
  return lookup(key, set, Found::differs);
}
Expressions verdictFrom(Field key, const char* map) {
  return lookup({key}, map, Found::decides);
}

Expressions connectionState(std::uint32_t anyOf) {
  return expression("ct",
                    [](Encoder& encoder) {
                      encoder.be32(NFTA_CT_KEY, NFT_CT_STATE);
                      encoder.be32(NFTA_CT_DREG, NFT_REG32_00);
                    }) +
         expression("bitwise",
                    [anyOf](Encoder& encoder) {
                      encoder.be32(NFTA_BITWISE_SREG, NFT_REG32_00);
                      encoder.be32(NFTA_BITWISE_DREG, NFT_REG32_00);
                      encoder.be32(NFTA_BITWISE_LEN, sizeof anyOf);
                      value(encoder, NFTA_BITWISE_MASK, bytesOf(anyOf));
                      value(encoder, NFTA_BITWISE_XOR, std::string(4, '\0'));
                    }) +
         compare(NFT_CMP_NEQ, std::string(4, '\0'));
}

Expressions remember(const std::vector<Field>& key, const char* set) {
  return loadKey(key) + expression("dynset", [&](Encoder& encoder) {
           encoder.text(NFTA_DYNSET_SET_NAME, set);
           encoder.be32(NFTA_DYNSET_OP, NFT_DYNSET_OP_ADD);
           encoder.be32(NFTA_DYNSET_SREG_KEY, NFT_REG32_00);
         });
}

Expressions tcpReset() {
  constexpr std::uint32_t kFlags = 13;
  const std::string reset(1, '\4');
  return expression("payload",
                    [](Encoder& encoder) {
                      encoder.be32(NFTA_PAYLOAD_DREG, NFT_REG32_00);
                      encoder.be32(NFTA_PAYLOAD_BASE, NFT_PAYLOAD_TRANSPORT_HEADER);
                      encoder.be32(NFTA_PAYLOAD_OFFSET, kFlags);
                      encoder.be32(NFTA_PAYLOAD_LEN, 1);
                    }) +
         expression("bitwise",
                    [&](Encoder& encoder) {
                      encoder.be32(NFTA_BITWISE_SREG, NFT_REG32_00);
                      encoder.be32(NFTA_BITWISE_DREG, NFT_REG32_00);
                      encoder.be32(NFTA_BITWISE_LEN, 1);
                      value(encoder, NFTA_BITWISE_MASK, reset);
                      value(encoder, NFTA_BITWISE_XOR, std::string(1, '\0'));
                    }) +
         compare(NFT_CMP_EQ, reset);
}

Expressions openerSentOver(std::uint64_t bytes) {
  const std::uint64_t bigEndian = htobe64(bytes);
  return expression("ct",
                    [](Encoder& encoder) {
                      encoder.be32(NFTA_CT_KEY, NFT_CT_BYTES);
                      encoder.be32(NFTA_CT_DREG, NFT_REG32_00);
                      encoder.u8(NFTA_CT_DIRECTION, IP_CT_DIR_ORIGINAL);
                    }) +
         expression("byteorder",
                    [](Encoder& encoder) {
                      encoder.be32(NFTA_BYTEORDER_SREG, NFT_REG32_00);
                      encoder.be32(NFTA_BYTEORDER_DREG, NFT_REG32_00);
                      encoder.be32(NFTA_BYTEORDER_OP, NFT_BYTEORDER_HTON);
                      encoder.be32(NFTA_BYTEORDER_LEN, sizeof bytes);
                      encoder.be32(NFTA_BYTEORDER_SIZE, sizeof bytes);
                    }) +
         compare(NFT_CMP_GT, bytesOf(bigEndian));
}

Expressions connectionsOver(Field key, const char* set, std::uint32_t limit) {
  return perEntry(key, set, "connlimit", [&](Encoder& encoder) {
    encoder.be32(NFTA_CONNLIMIT_COUNT, limit);
    encoder.be32(NFTA_CONNLIMIT_FLAGS, NFT_CONNLIMIT_F_INV);
  });
}

Expressions packetsOver(Field key, const char* set, const Rate& rate) {
  return perEntry(key, set, "limit", [&](Encoder& encoder) {
    encoder.be64(NFTA_LIMIT_RATE, rate.perSecond);
    encoder.be64(NFTA_LIMIT_UNIT, 1);  // seconds
    encoder.be32(NFTA_LIMIT_BURST, rate.burst);
    encoder.be32(NFTA_LIMIT_TYPE, NFT_LIMIT_PKTS);
    encoder.be32(NFTA_LIMIT_FLAGS, NFT_LIMIT_F_INV);
  });
}

Expressions count() {
  return expression("counter", [](Encoder& encoder) {
    encoder.be64(NFTA_COUNTER_BYTES, 0);
    encoder.be64(NFTA_COUNTER_PACKETS, 0);
  });
}
Expressions accept() {
  return verdict(NF_ACCEPT);
}
Expressions drop() {
  return verdict(NF_DROP);
}
Expressions goTo(const char* chain) {
  return verdict(NFT_GOTO, chain);
}
Expressions rejectTcp() {
  return expression("reject", [](Encoder& encoder) {
    encoder.be32(NFTA_REJECT_TYPE, NFT_REJECT_TCP_RST);
    encoder.u8(NFTA_REJECT_ICMP_CODE, 0);
  });
}
Expressions masquerade() {
  return expression("masq", [](Encoder&) {});
}

void putVerdict(Encoder& encoder, std::uint16_t attribute, std::int32_t code, const char* chain) {
  const auto data = encoder.nest(attribute);
  const auto inner = encoder.nest(NFTA_DATA_VERDICT);
  encoder.be32(NFTA_VERDICT_CODE, static_cast<std::uint32_t>(code));
  if (chain != nullptr) encoder.text(NFTA_VERDICT_CHAIN, chain);
  encoder.close(inner);
  encoder.close(data);
}

void beginTransaction(Batch& batch) {
  batchMark(batch, NFNL_MSG_BATCH_BEGIN);
}
void endTransaction(Batch& batch) {
  batchMark(batch, NFNL_MSG_BATCH_END);
}

void beginObject(Batch& batch, Family family, std::uint16_t message, std::uint16_t flags, const char* label) {
  batch.begin(static_cast<std::uint16_t>((NFNL_SUBSYS_NFTABLES << 8U) | message), flags, label);
  nfgenmsg header{};
  header.nfgen_family = static_cast<std::uint8_t>(family);
  header.version = NFNETLINK_V0;
  batch.header(header);
}

void addTable(Batch& batch, Family family, const std::string& comment) {
  beginObject(batch, family, NFT_MSG_NEWTABLE, NLM_F_ACK | NLM_F_CREATE | NLM_F_EXCL, "add the table");
  batch.text(NFTA_TABLE_NAME, kTable);
  batch.be32(NFTA_TABLE_FLAGS, 0);
  // User data as nft(8) writes a comment: type 0, length, text with its NUL.
  std::string userdata{'\0', static_cast<char>(comment.size() + 1)};
  userdata += comment;
  userdata += '\0';
  batch.put(NFTA_TABLE_USERDATA, userdata);
}

void addRemoveTable(Batch& batch, Family family) {
  beginObject(batch, family, NFT_MSG_DELTABLE, NLM_F_ACK, "delete the table");
  batch.text(NFTA_TABLE_NAME, kTable);
}

void addChain(Batch& batch, Family family, const char* name) {
  beginObject(batch, family, NFT_MSG_NEWCHAIN, NLM_F_ACK | NLM_F_CREATE | NLM_F_EXCL, "add the chain");
  batch.text(NFTA_CHAIN_TABLE, kTable);
  batch.text(NFTA_CHAIN_NAME, name);
}

void addBaseChain(Batch& batch, Family family, const char* name, const Hook& hook) {
  addChain(batch, family, name);
  const auto nest = batch.nest(NFTA_CHAIN_HOOK);
  batch.be32(NFTA_HOOK_HOOKNUM, hook.number);
  batch.be32(NFTA_HOOK_PRIORITY, static_cast<std::uint32_t>(hook.priority));
  batch.close(nest);
  batch.be32(NFTA_CHAIN_POLICY, NF_ACCEPT);
  batch.text(NFTA_CHAIN_TYPE, hook.type);
}

void addRule(Batch& batch, Family family, const char* chain, const Expressions& expressions) {
  beginObject(batch, family, NFT_MSG_NEWRULE, NLM_F_ACK | NLM_F_CREATE | NLM_F_APPEND, "add the rule");
  batch.text(NFTA_RULE_TABLE, kTable);
  batch.text(NFTA_RULE_CHAIN, chain);
  const auto list = batch.nest(NFTA_RULE_EXPRESSIONS);
  batch.raw(expressions.bytes());
  batch.close(list);
}

void addSet(Batch& batch, Family family, const SetShape& shape) {
  beginObject(batch, family, NFT_MSG_NEWSET, NLM_F_ACK | NLM_F_CREATE | NLM_F_EXCL, "add the set");
  batch.text(NFTA_SET_TABLE, kTable);
  batch.text(NFTA_SET_NAME, shape.name);
  std::uint32_t flags = 0;
  if (shape.kind == SetKind::intervals) flags = NFT_SET_INTERVAL;
  if (shape.kind == SetKind::verdicts) flags = NFT_SET_MAP;
  if (shape.kind == SetKind::bounded) flags = NFT_SET_EVAL;
  if (shape.kind == SetKind::timed) flags = NFT_SET_EVAL | NFT_SET_TIMEOUT;
  batch.be32(NFTA_SET_FLAGS, flags);
  batch.be32(NFTA_SET_KEY_TYPE, shape.keyType);
  batch.be32(NFTA_SET_KEY_LEN, shape.keyBytes);
  batch.be32(NFTA_SET_ID, shape.id);
  // For `nft list` alone: type 0 (byte order of the key), length, 1 (of the host).
  if (shape.keyOrder == KeyOrder::host) batch.put(NFTA_SET_USERDATA, std::string("\0\4\1\0\0\0", 6));
  if (shape.kind == SetKind::verdicts) batch.be32(NFTA_SET_DATA_TYPE, NFT_DATA_VERDICT);
  if (shape.kind == SetKind::timed) batch.be64(NFTA_SET_TIMEOUT, shape.milliseconds);
  if (shape.kind == SetKind::bounded || shape.kind == SetKind::timed) {
    constexpr std::uint32_t kSize = 65'535;
    const auto description = batch.nest(NFTA_SET_DESC);
    batch.be32(NFTA_SET_DESC_SIZE, kSize);
    batch.close(description);
  }
  if (shape.kind == SetKind::counted) {
    const auto each = batch.nest(NFTA_SET_EXPR);
    batch.text(NFTA_EXPR_NAME, "counter");
    const auto data = batch.nest(NFTA_EXPR_DATA);
    batch.be64(NFTA_COUNTER_BYTES, 0);
    batch.be64(NFTA_COUNTER_PACKETS, 0);
    batch.close(data);
    batch.close(each);
  }
}

}  // namespace cloister::network
