// LedgerMemory: the end of every chain and the running sums, as of the newest transaction that this process saw. So
// totals cost no query, and an append reads no heads.
//
// Threads: any; one writer at a time, which may read without the lock what only it changes. Failures: none.
#pragma once

#include <cstdint>
#include <map>
#include <shared_mutex>
#include <string>
#include <vector>

#include "metering/ledger/ledger_chain.h"

namespace cloister::metering {

struct GapSum {
  std::uint64_t rows = 0;
  std::uint64_t milliseconds = 0;
};

// What a transaction changed, or what a reload found.
struct LedgerChange {
  std::map<std::string, Head> heads;
  std::map<std::string, GapSum> gaps;
  std::uint64_t refused = 0;  // batches, since ever
  std::int64_t lastBatch = 0;
};

class LedgerMemory {
 public:
  void apply(const LedgerChange& change);
  void clear();

  // False before the first apply() and after clear(): then nobody knows the sums, and the zeros below mean nothing.
  [[nodiscard]] bool known() const;
  [[nodiscard]] Totals totals(const std::string& tenantId) const;
  [[nodiscard]] std::vector<TenantTotals> totals() const;
  [[nodiscard]] LedgerHealth health(std::int64_t at) const;

  // For the writer.
  [[nodiscard]] const Head* head(const std::string& tenantId) const;
  [[nodiscard]] GapSum gap(const std::string& note) const;
  [[nodiscard]] std::uint64_t refused() const { return known_.refused; }
  [[nodiscard]] std::int64_t lastBatch() const { return known_.lastBatch; }

 private:
  mutable std::shared_mutex mutex_;
  LedgerChange known_;
  bool read_ = false;
};

}  // namespace cloister::metering
