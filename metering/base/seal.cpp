#include "metering/base/seal.h"

#include <algorithm>

#include "metering/base/encoding.h"

namespace cloister::metering {
namespace {

constexpr std::string_view kContext = "cloister host seal 1";
constexpr std::size_t kHashDigits = 64;
constexpr std::size_t kSignatureDigits = 128;

// All strings have their length before them, and the hash, as digits, always the same one.
std::string messageOf(const std::string& source, const UsageRow& row, std::string_view hash) {
  wire::Writer front;
  front.put(kContext);
  front.put(source);
  front.put(row.tenantId);
  front.put(row.quantity);
  wire::Writer back;
  putSigned(back, row.from);
  putSigned(back, row.to);
  return front.bytes() + std::string(hash) + back.bytes();
}

bool isDigits(std::string_view text) {
  return text.find_first_not_of("0123456789abcdef") == std::string_view::npos;
}

}  // namespace

Hash sealHash(Sha256& sha, const Hash& previous, std::string_view encodedRow) {
  return sha.begin().add(view(previous)).add(encodedRow).end();
}

void cover(Sha256& sha, Segment& segment, const UsageRow& row, std::string_view encodedRow) {
  segment.hash = sealHash(sha, segment.hash, encodedRow);
  segment.from = segment.rows == 0 ? row.from : std::min(segment.from, row.from);
  segment.to = segment.rows == 0 ? row.to : std::max(segment.to, row.to);
  ++segment.rows;
}

void cover(Sha256& sha, Segment& segment, const UsageRow& row) {
  wire::Writer writer;
  putRow(writer, row);
  cover(sha, segment, row, writer.bytes());
}

UsageRow sealRow(const SigningKey& key, const std::string& source, const std::string& tenantId,
                 const Segment& segment) {
  UsageRow row{tenantId, "", "", Meter::seal, segment.rows, segment.from, segment.to, ""};
  const auto hash = hexadecimal(segment.hash);
  row.note = keyIdOf(key.publicKey()) + ' ' + hash + ' ' + key.sign(messageOf(source, row, hash));
  return row;
}

std::optional<Seal> parseSeal(const std::string& note) {
  constexpr std::size_t kHashAt = kKeyIdDigits + 1;
  constexpr std::size_t kSignatureAt = kHashAt + kHashDigits + 1;
  if (note.size() != kSignatureAt + kSignatureDigits || note[kHashAt - 1] != ' ' || note[kSignatureAt - 1] != ' ')
    return std::nullopt;
  Seal seal{note.substr(0, kKeyIdDigits), note.substr(kHashAt, kHashDigits), note.substr(kSignatureAt)};
  if (!isDigits(seal.keyId) || !isDigits(seal.hash) || !isDigits(seal.signature)) return std::nullopt;
  return seal;
}

bool isSealedBy(const std::string& publicKey, const std::string& source, const UsageRow& row, const Seal& seal) {
  return keyIdOf(publicKey) == seal.keyId && isSignedBy(publicKey, messageOf(source, row, seal.hash), seal.signature);
}

}  // namespace cloister::metering
