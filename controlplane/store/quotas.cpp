#include "controlplane/store/quotas.h"

#include <algorithm>
#include <array>
#include <set>

#include "controlplane/store/store.h"
#include "sandbox/base/quantity.h"

namespace cloister::store {
namespace {

constexpr const char* kTokens = "SELECT COUNT(*) FROM tokens WHERE tenant_id = ?1 AND revoked = 0";
constexpr const char* kDomains = "SELECT COUNT(*) FROM domains WHERE tenant_id = ?1";
constexpr const char* kKeys = "SELECT COUNT(*) FROM idempotency_keys WHERE tenant_id = ?1";
constexpr const char* kKeyBytes = "SELECT COALESCE(SUM(bytes), 0) FROM idempotency_keys WHERE tenant_id = ?1";
constexpr const char* kAudit = "SELECT COUNT(*) FROM audit WHERE tenant_id = ?1 AND status < 400";
constexpr const char* kRefused = "SELECT COUNT(*) FROM audit WHERE tenant_id = ?1 AND status >= 400";
constexpr const char* kOperations = "SELECT COUNT(*) FROM operations WHERE tenant_id = ?1";
constexpr const char* kEvents = "SELECT COUNT(*) FROM events WHERE tenant_id = ?1";

// ?1 the tenant, ?2 how many of the newest are kept.
struct Pruning {
  const char* sql;
  std::int64_t kept;
};
constexpr std::array kPrunings = {
    Pruning{
        "DELETE FROM audit WHERE tenant_id = ?1 AND status < 400 AND id <= (SELECT id FROM audit WHERE tenant_id = ?1"
        " AND status < 400 ORDER BY id DESC LIMIT 1 OFFSET ?2)",
        kTenantQuotas.auditEntries},
    Pruning{"DELETE FROM audit WHERE tenant_id = ?1 AND status >= 400 AND id <= (SELECT id FROM audit WHERE tenant_id ="
            " ?1 AND status >= 400 ORDER BY id DESC LIMIT 1 OFFSET ?2)",
            kTenantQuotas.refusedAuditEntries},
    Pruning{"DELETE FROM operations WHERE tenant_id = ?1 AND state IN ('succeeded', 'failed') AND id <= (SELECT id FROM"
            " operations WHERE tenant_id = ?1 AND state IN ('succeeded', 'failed') ORDER BY id DESC LIMIT 1 OFFSET ?2)",
            kTenantQuotas.operations},
    Pruning{"DELETE FROM events WHERE tenant_id = ?1 AND id <= (SELECT id FROM events WHERE tenant_id = ?1"
            " ORDER BY id DESC LIMIT 1 OFFSET ?2)",
            kTenantQuotas.events},
    Pruning{"DELETE FROM tokens WHERE tenant_id = ?1 AND revoked = 1 AND id <= (SELECT id FROM tokens WHERE tenant_id ="
            " ?1 AND revoked = 1 ORDER BY id DESC LIMIT 1 OFFSET ?2)",
            kTenantQuotas.revokedTokens},
};

}  // namespace

void requireRoom(const TenantQuota& quota, std::int64_t asked, const std::string& field) {
  if (quota.used + asked <= quota.limit) return;
  const auto shown = [&](std::int64_t amount) {
    return quota.unit == "bytes" ? humanBytes(static_cast<double>(amount)) : std::to_string(amount);
  };
  throw Refusal(RefusalKind::quota, "quota_exceeded", field,
                "the tenant's quota of " + quota.name + " does not allow it: " + shown(asked) + " asked, " +
                    shown(quota.used) + " of " + shown(quota.limit) + " used; \"cloister quota\" shows all");
}

Invalid domainUnavailable(const std::string& host) {
  return {"host", "\"" + host + "\" cannot be added: it is in use, or no name that a tenant may have",
          "domain_unavailable"};
}

std::int64_t Quotas::count(const char* query, const std::string& tenantId) const {
  const auto lock = store_.lock();
  auto statement = store_.database().prepare(query);
  statement.bind(tenantId);
  return statement.step() ? statement.integer(0) : 0;
}

TenantQuota Quotas::tokens(const std::string& tenantId) const {
  return {"tokens", "count", count(kTokens, tenantId), kTenantQuotas.tokens};
}

TenantQuota Quotas::domains(const std::string& tenantId) const {
  return {"domains", "count", count(kDomains, tenantId), kTenantQuotas.domains};
}

TenantQuota Quotas::idempotencyKeys(const std::string& tenantId) const {
  return {"idempotency_keys", "count", count(kKeys, tenantId), kTenantQuotas.idempotencyKeys};
}

TenantQuota Quotas::idempotencyBytes(const std::string& tenantId) const {
  return {"idempotency_bytes", "bytes", count(kKeyBytes, tenantId), kTenantQuotas.idempotencyBytes};
}

std::vector<TenantQuota> Quotas::all(const std::string& tenantId) const {
  const auto lock = store_.lock();
  return {tokens(tenantId),
          domains(tenantId),
          idempotencyKeys(tenantId),
          idempotencyBytes(tenantId),
          {"audit_entries", "count", count(kAudit, tenantId), kTenantQuotas.auditEntries},
          {"refused_audit_entries", "count", count(kRefused, tenantId), kTenantQuotas.refusedAuditEntries},
          {"operations", "count", count(kOperations, tenantId), kTenantQuotas.operations},
          {"events", "count", count(kEvents, tenantId), kTenantQuotas.events}};
}

std::vector<std::string> Quotas::builds(const std::string& tenantId) const {
  const auto lock = store_.lock();
  auto query = store_.database().prepare("SELECT id FROM builds WHERE tenant_id = ?1 ORDER BY id DESC");
  query.bind(tenantId);
  std::vector<std::string> ids;
  while (query.step()) ids.push_back(query.text(0));
  return ids;
}

std::vector<std::string> Quotas::endedSources(model::Micros since) const {
  const auto lock = store_.lock();
  auto query = store_.database().prepare("SELECT id FROM builds WHERE finished_at >= ?1");
  query.bind(since);
  std::vector<std::string> ids;
  while (query.step()) ids.push_back(query.text(0));
  std::set<std::string> digests;
  for (const auto& id : ids) {
    const auto build = store_.builds().get(id);
    digests.insert(build.sourceDigest);
    for (const auto& step : build.steps) digests.insert(step.sourceDigest);
  }
  digests.erase("");
  return {digests.begin(), digests.end()};
}

bool Quotas::inUse(const std::string& digest) const {
  const auto lock = store_.lock();
  const auto used = store_.releases().digestsInUse();
  return std::find(used.begin(), used.end(), digest) != used.end();
}

// A tenant a transaction: nobody waits long for the lock.
std::int64_t Quotas::prune() {
  std::int64_t dropped = 0;
  std::vector<std::string> tenants;
  for (const auto& tenant : store_.tenants().list({"", 1'000'000})) tenants.push_back(tenant.id);
  for (const auto& tenant : tenants) {
    const auto lock = store_.lock();
    for (const auto& pruning : kPrunings) {
      auto over = store_.database().prepare(pruning.sql);
      over.bind(tenant, pruning.kept);
      over.run();
      dropped += store_.database().changes();
    }
  }
  return dropped;
}

}  // namespace cloister::store
