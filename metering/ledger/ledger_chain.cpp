#include "metering/ledger/ledger_chain.h"

#include <algorithm>

#include "metering/base/encoding.h"

namespace cloister::metering {

bool toHash(std::string_view bytes, Hash& hash) {
  if (bytes.size() != hash.size()) return false;
  std::copy(bytes.begin(), bytes.end(), hash.begin());
  return true;
}

std::string encodeTotals(const Totals& totals) {
  wire::Writer writer;
  for (const auto quantity : totals) {
    writer.put(static_cast<std::uint64_t>(quantity));
    writer.put(static_cast<std::uint64_t>(quantity >> 64U));
  }
  return writer.bytes();
}

// A ledger from before a meter was added has shorter totals: the new ones are zero.
bool decodeTotals(std::string_view bytes, Totals& totals) {
  if (bytes.size() % 16 != 0 || bytes.size() > totals.size() * 16) return false;
  wire::Reader reader(bytes);
  totals = {};
  for (std::size_t i = 0; i < bytes.size() / 16; ++i) {
    const auto low = reader.get<std::uint64_t>();
    totals[i] = (Quantity{reader.get<std::uint64_t>()} << 64U) | low;
  }
  return reader.finish();
}

void addTo(Totals& totals, Meter meter, std::uint64_t quantity) {
  auto& total = totals.at(static_cast<std::size_t>(meter));
  if (isLevel(meter)) {
    total = std::max<Quantity>(total, quantity);
  } else {
    total += quantity;
  }
}

std::string batchPart(std::string_view source, std::uint64_t sequence, std::string_view bootId) {
  wire::Writer writer;
  writer.put(source);
  writer.put(sequence);
  writer.put(bootId);
  return writer.bytes();
}

Hash rowHash(Sha256& sha, const Hash& previous, std::uint64_t number, std::string_view batch, std::string_view row) {
  wire::Writer front;
  front.put(kChainEncoding);
  front.put(number);
  return sha.begin().add(view(previous)).add(front.bytes()).add(batch).add(row).end();
}

}  // namespace cloister::metering
