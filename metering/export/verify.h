// Verification of a statement (statement.h), with nothing but the file and the public keys of the provider and its
// hosts.
//
// Line by line: its form and check, each row's hash on the one before, and hosts' seals on their rows (seal_check.h);
// then the file's seal; then the month is rated again from the rows, the invoice made again, and compared line by line.
// The first thing that does not hold is named. A wrong price or a missing row that the provider itself signed is found
// by the last step. A row that the provider changed, added or left out and signed again is found by the host's seal
// over it, when the host's key was not taken from the provider. Rows that no host sealed are counted. A head that was
// published earlier (head.h) finds every change up to its row, by whomever. Threads: pure but
// for the reader. Failures: none, a file that cannot be understood is a finding.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "metering/export/head.h"
#include "metering/export/seal_check.h"
#include "metering/rating/invoice.h"

namespace cloister::metering {

struct StatementReport {
  std::uint64_t rows = 0;   // rows whose hash holds
  std::uint64_t lines = 0;  // lines of the file that hold
  SealCounts seals;         // whose word the rows rest on
  std::optional<Invoice> invoice;
  std::string finding;  // empty: all of it holds
  [[nodiscard]] bool holds() const { return finding.empty(); }
};

// `next` gives a line without its line feed, or nothing at the end. Pass `publicKey` as the provider published it.
// `nodeKeys`: public keys of hosts that are trusted; without any, those that the file lists and the provider's seal
// vouches for. `head`: one that the statement's rows must pass through.
[[nodiscard]] StatementReport verifyStatement(const std::function<bool(std::string&)>& next,
                                              const std::string& publicKey,
                                              const std::vector<std::string>& nodeKeys = {},
                                              const std::optional<PublishedHead>& head = std::nullopt);

}  // namespace cloister::metering
