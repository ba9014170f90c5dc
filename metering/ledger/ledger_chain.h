// A tenant's hash chain: its encoding (described in ledger.h) and its head.
//
// Threads: pure functions. Failures: decode functions return false.
#pragma once

#include <string>
#include <string_view>

#include "metering/base/sha256.h"
#include "metering/ledger/ledger.h"

namespace cloister::metering {

inline constexpr std::uint8_t kChainEncoding = 1;

struct Head {
  std::int64_t id = 0;
  std::uint64_t rows = 0;
  Hash hash{};
  Totals totals{};
  std::int64_t latest = 0;
};

[[nodiscard]] bool toHash(std::string_view bytes, Hash& hash);
[[nodiscard]] std::string encodeTotals(const Totals& totals);
[[nodiscard]] bool decodeTotals(std::string_view bytes, Totals& totals);
void addTo(Totals& totals, Meter meter, std::uint64_t quantity);

// What is the same for all rows of a batch, between the row's number and its own fields.
[[nodiscard]] std::string batchPart(std::string_view source, std::uint64_t sequence, std::string_view bootId);
// `row` as putRow() encodes it.
[[nodiscard]] Hash rowHash(Sha256& sha, const Hash& previous, std::uint64_t number, std::string_view batch,
                           std::string_view row);

}  // namespace cloister::metering
