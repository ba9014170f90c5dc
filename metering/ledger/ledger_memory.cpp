#include "metering/ledger/ledger_memory.h"

#include <algorithm>
#include <mutex>

namespace cloister::metering {

void LedgerMemory::apply(const LedgerChange& change) {
  const std::unique_lock lock(mutex_);
  for (const auto& [tenant, head] : change.heads) known_.heads.insert_or_assign(tenant, head);
  for (const auto& [note, sum] : change.gaps) known_.gaps.insert_or_assign(note, sum);
  known_.refused = change.refused;
  known_.lastBatch = change.lastBatch;
  read_ = true;
}

void LedgerMemory::clear() {
  const std::unique_lock lock(mutex_);
  known_ = {};
  read_ = false;
}

bool LedgerMemory::known() const {
  const std::shared_lock lock(mutex_);
  return read_;
}

Totals LedgerMemory::totals(const std::string& tenantId) const {
  const std::shared_lock lock(mutex_);
  const auto found = known_.heads.find(tenantId);
  return found == known_.heads.end() ? Totals{} : found->second.totals;
}

std::vector<TenantTotals> LedgerMemory::totals() const {
  const std::shared_lock lock(mutex_);
  std::vector<TenantTotals> all;
  all.reserve(known_.heads.size());
  for (const auto& [tenant, head] : known_.heads) all.push_back({tenant, head.totals});
  return all;
}

LedgerHealth LedgerMemory::health(std::int64_t at) const {
  const std::shared_lock lock(mutex_);
  LedgerHealth health;
  for (const auto& [tenant, head] : known_.heads) {
    if (head.latest <= at) health.latest = std::max(health.latest, head.latest);
  }
  for (const auto& [note, sum] : known_.gaps) {
    health.gapMilliseconds += sum.milliseconds;
    if (note == gap::kCounterReset) health.counterResets += sum.rows;
    if (note == gap::kVanished || note == gap::kRestarted || note == gap::kUnreadable) {
      health.finalReadsMissed += sum.rows;
    }
  }
  health.refusedBatches = known_.refused;
  return health;
}

const Head* LedgerMemory::head(const std::string& tenantId) const {
  const auto found = known_.heads.find(tenantId);
  return found == known_.heads.end() ? nullptr : &found->second;
}

GapSum LedgerMemory::gap(const std::string& note) const {
  const auto found = known_.gaps.find(note);
  return found == known_.gaps.end() ? GapSum{} : found->second;
}

}  // namespace cloister::metering
