#include "controlplane/store/billing_events.h"

#include "controlplane/store/store.h"

namespace cloister::store {

void BillingEvents::append(const std::string& tenantId, const std::string& what, const std::string& previous,
                           const std::string& current) {
  store_.transact([&] {
    const auto at = now();
    store_.database().run(
        "UPDATE counters SET value = CASE WHEN value >= ?1 THEN value + 1 ELSE ?1 END WHERE name = 'billing_event'",
        at);
    store_.database().run(
        "INSERT INTO billing_events (number, at, tenant_id, what, was, becomes)"
        " SELECT value, ?1, ?2, ?3, ?4, ?5 FROM counters WHERE name = 'billing_event'",
        at, tenantId, what, previous, current);
  });
}

std::vector<metering::LifecycleEvent> BillingEvents::oldest(std::int64_t limit) const {
  const auto lock = store_.lock();
  auto query = store_.database().prepare(
      "SELECT number, at, tenant_id, what, was, becomes FROM billing_events ORDER BY number LIMIT ?1");
  query.bind(limit);
  std::vector<metering::LifecycleEvent> events;
  while (query.step()) {
    events.push_back({static_cast<std::uint64_t>(query.integer(0)), query.integer(1), query.text(2), query.text(3),
                      query.text(4), query.text(5)});
  }
  return events;
}

void BillingEvents::remove(std::uint64_t number) {
  store_.transact([&] {
    store_.database().run("DELETE FROM billing_events WHERE number = ?1", static_cast<std::int64_t>(number));
  });
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
