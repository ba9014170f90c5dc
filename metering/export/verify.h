// Verification of a statement (statement.h), with nothing but the file and the provider's public key.
//
// Line by line: its form and check, each row's hash on the one before; then the seal; then the month is rated again
// from the rows, the invoice made again, and compared line by line. The first thing that does not hold is named. A
// wrong price or a missing row that the provider itself signed is found by the last step; rows that it never entered
// cannot be. Threads: pure but for the reader. Failures: none, a file that cannot be understood is a finding.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>

#include "metering/rating/invoice.h"

namespace cloister::metering {

struct StatementReport {
  std::uint64_t rows = 0;   // rows whose hash holds
  std::uint64_t lines = 0;  // lines of the file that hold
  std::optional<Invoice> invoice;
  std::string finding;  // empty: all of it holds
  [[nodiscard]] bool holds() const { return finding.empty(); }
};

// `next` gives a line without its line feed, or nothing at the end. Pass `publicKey` as the provider published it.
[[nodiscard]] StatementReport verifyStatement(const std::function<bool(std::string&)>& next,
                                              const std::string& publicKey);

}  // namespace cloister::metering
