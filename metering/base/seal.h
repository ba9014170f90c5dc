// A host's seal: its own signature of the rows that it measured for a tenant, as one more row of the ledger.
//
// A segment is a run of rows of one source and tenant, in the order of the tenant's chain. Its hash is, over its rows,
//   hash(0) = 32 zero bytes, hash(n) = SHA-256(hash(n-1) || row n as putRow() encodes it)
// so it rests on what was measured, and on neither numbers, sequences nor boot ids, which others give. The seal is a
// row of meter `seal` behind them, of the same source and tenant, with neither app nor instance: quantity = the number
// of rows, from = the earliest begin, to = the latest end of their windows, and as its note, digits hexadecimal,
//   KEY-ID HASH SIGNATURE     16, 64 and 128 digits; the key's id is its first 16
// The signature (Ed25519) is of, integers little-endian, strings as u32 byte count and bytes:
//   str "cloister host seal 1"   str source   str tenant   u64 rows   the hash as 64 digits   i64 from   i64 to
// Each segment stands alone: the next one begins with zeros, so what a host forgets costs the cover of one segment.
// Threads: pure functions, but for the digest's context. Failures: none; what is no seal is sealed by nobody.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "metering/base/sha256.h"
#include "metering/base/signing.h"
#include "metering/base/usage.h"

namespace cloister::metering {

// A segment that is as long ends, so that whoever verifies needs to hold no more rows than these.
inline constexpr std::uint64_t kMostSealed = 10'000;
inline constexpr std::size_t kKeyIdDigits = 16;

struct Segment {
  std::uint64_t rows = 0;
  Hash hash{};
  std::int64_t from = 0;
  std::int64_t to = 0;
  friend bool operator==(const Segment&, const Segment&) = default;
};

// A public key of a host, and since when the control plane knows it.
struct NodeKey {
  std::string source;
  std::string publicKey;
  std::int64_t since = 0;
};

[[nodiscard]] inline std::string keyIdOf(const std::string& publicKey) {
  return publicKey.substr(0, kKeyIdDigits);
}

// hash(n) of hash(n-1) and a row as putRow() encodes it.
[[nodiscard]] Hash sealHash(Sha256& sha, const Hash& previous, std::string_view encodedRow);
// Takes the row into the segment. `encodedRow`: as putRow() writes it.
void cover(Sha256& sha, Segment& segment, const UsageRow& row, std::string_view encodedRow);
void cover(Sha256& sha, Segment& segment, const UsageRow& row);

[[nodiscard]] UsageRow sealRow(const SigningKey& key, const std::string& source, const std::string& tenantId,
                               const Segment& segment);

struct Seal {
  std::string keyId;
  std::string hash;  // 64 digits
  std::string signature;
};
// Of a row's note; nothing for another form.
[[nodiscard]] std::optional<Seal> parseSeal(const std::string& note);
// Whether the key signed that this seal's hash is of that many rows of source and tenant. Not whether they have it.
[[nodiscard]] bool isSealedBy(const std::string& publicKey, const std::string& source, const UsageRow& row,
                              const Seal& seal);

}  // namespace cloister::metering
