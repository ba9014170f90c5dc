#include "controlplane/store/billing.h"

#include <sqlite3.h>

#include "controlplane/store/store.h"

namespace cloister::store {

namespace {

constexpr std::size_t kRowsOfABatch = 1000;

}  // namespace

void LedgerOutbox::append(const std::vector<metering::UsageRow>& rows) {
  store_.transact([&] {
    for (std::size_t i = 0; i < rows.size(); ++i) {
      if (i % kRowsOfABatch == 0) {
        store_.database().run(
            "UPDATE counters SET value = CASE WHEN value >= ?1 THEN value + 1 ELSE ?1 END WHERE name = 'ledger_outbox'",
            now());
      }
      const auto& row = rows[i];
      store_.database().run(
          "INSERT INTO ledger_outbox (sequence, place, tenant_id, meter, quantity, begins, ends, note)"
          " SELECT value, ?1, ?2, ?3, ?4, ?5, ?6, ?7 FROM counters WHERE name = 'ledger_outbox'",
          i, row.tenantId, std::string_view(metering::meterName(row.meter)), row.quantity, row.from, row.to, row.note);
    }
  });
}

void LedgerOutbox::appendChange(const std::string& tenantId, const std::string& what, const std::string& previous,
                                const std::string& current) {
  append({metering::rowOf({now(), tenantId, what, previous, current})});
}

std::vector<metering::UsageBatch> LedgerOutbox::oldest(std::int64_t batches) const {
  const auto lock = store_.lock();
  auto query = store_.database().prepare(
      "SELECT sequence, tenant_id, meter, quantity, begins, ends, note FROM ledger_outbox WHERE sequence IN"
      " (SELECT DISTINCT sequence FROM ledger_outbox ORDER BY sequence LIMIT ?1) ORDER BY sequence, place");
  query.bind(batches);
  std::vector<metering::UsageBatch> all;
  while (query.step()) {
    std::uint64_t sequence = 0;
    metering::UsageRow row;
    query.get(0, sequence);
    query.get(1, row.tenantId);
    if (!metering::meterFromName(query.text(2), row.meter)) {
      throw StoreError(SQLITE_MISMATCH, "the outbox has a row of no meter: " + query.text(2), {});
    }
    query.get(3, row.quantity);
    query.get(4, row.from);
    query.get(5, row.to);
    query.get(6, row.note);
    if (all.empty() || all.back().sequence != sequence) all.push_back(metering::controlPlaneBatch(sequence, {}));
    all.back().rows.push_back(std::move(row));
  }
  return all;
}

void LedgerOutbox::remove(std::uint64_t sequence) {
  store_.transact([&] { store_.database().run("DELETE FROM ledger_outbox WHERE sequence = ?1", sequence); });
}

std::map<std::string, std::uint64_t> Throttles::all() const {
  const auto lock = store_.lock();
  auto query = store_.database().prepare("SELECT tenant_id, bits_per_second FROM throttles");
  std::map<std::string, std::uint64_t> rates;
  while (query.step()) rates[query.text(0)] = static_cast<std::uint64_t>(query.integer(1));
  return rates;
}

void Throttles::set(const std::string& tenantId, std::uint64_t bitsPerSecond, model::Micros until) {
  store_.transact([&] {
    store_.database().run(
        "INSERT INTO throttles (tenant_id, bits_per_second, until) VALUES (?1, ?2, ?3) ON CONFLICT (tenant_id)"
        " DO UPDATE SET bits_per_second = excluded.bits_per_second, until = excluded.until",
        tenantId, bitsPerSecond, until);
    store_.bumpRevision();
  });
}

bool Throttles::dropBefore(model::Micros now) {
  return store_.transact([&] {
    auto over = store_.database().prepare("SELECT 1 FROM throttles WHERE until <= ?1");
    over.bind(now);
    if (!over.step()) return false;
    store_.database().run("DELETE FROM throttles WHERE until <= ?1", now);
    store_.bumpRevision();
    return true;
  });
}

bool Alerts::first(const std::string& tenantId, model::Micros month, const std::string& kind) {
  return store_.transact([&] {
    store_.database().run(
        "INSERT INTO alerts (tenant_id, month, kind) SELECT id, ?2, ?3 FROM tenants WHERE id = ?1"
        " ON CONFLICT (tenant_id, month, kind) DO NOTHING",
        tenantId, month, kind);
    if (store_.database().changes() == 0) return false;
    store_.database().run("DELETE FROM alerts WHERE tenant_id = ?1 AND month < ?2", tenantId, month);
    return true;
  });
}

}  // namespace cloister::store
