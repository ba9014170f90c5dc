// Quotas: how much of the control plane one tenant may keep, in one table, with what it keeps now.
//
// What a tenant asks for beyond a quota is refused and told; what comes by itself (audit, events, operations) is
// dropped, oldest first, by prune(). Refused requests have a share of the audit trail of their own, so that a flood of
// them cannot push out what was done.
// Threads: any; each call takes the store's lock. Failures: Refusal "quota_exceeded", StoreError for the rest.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "controlplane/model/model.h"
#include "controlplane/store/errors.h"

namespace cloister::store {

class Store;

struct TenantQuotas {
  std::int64_t sourceBytes = 1LL << 30;         // uploaded, and not built yet
  std::uint64_t buildLogBytes = 256ULL << 20U;  // of all its apps; the oldest logs go first
  std::int64_t tokens = 100;                    // that are not revoked
  std::int64_t revokedTokens = 100;             // kept for the audit trail
  std::int64_t domains = 100;
  std::int64_t idempotencyKeys = 5'000;  // of a day
  std::int64_t idempotencyBytes = 16LL << 20;
  std::int64_t auditEntries = 50'000;
  std::int64_t refusedAuditEntries = 5'000;
  std::int64_t operations = 2'000;  // ended ones
  std::int64_t events = 10'000;
};
inline constexpr TenantQuotas kTenantQuotas;

struct TenantQuota {
  std::string name;  // "domains", as the API has it
  std::string unit;  // "count" or "bytes"
  std::int64_t used = 0;
  std::int64_t limit = 0;
};

// Throws when `asked` more would pass the limit.
void requireRoom(const TenantQuota& quota, std::int64_t asked, const std::string& field);

// The one answer for a domain that another tenant has and for one that nobody may add.
[[nodiscard]] Invalid domainUnavailable(const std::string& host);

class Quotas {
 public:
  explicit Quotas(Store& store) : store_(store) {}
  [[nodiscard]] TenantQuota tokens(const std::string& tenantId) const;
  [[nodiscard]] TenantQuota domains(const std::string& tenantId) const;
  [[nodiscard]] TenantQuota idempotencyKeys(const std::string& tenantId) const;
  [[nodiscard]] TenantQuota idempotencyBytes(const std::string& tenantId) const;
  // All that is counted in the store.
  [[nodiscard]] std::vector<TenantQuota> all(const std::string& tenantId) const;
  // The tenant's builds, newest first: whose logs and sources are its.
  [[nodiscard]] std::vector<std::string> builds(const std::string& tenantId) const;
  // Sources of builds that ended lately, and of their steps.
  [[nodiscard]] std::vector<std::string> endedSources(model::Micros since) const;
  [[nodiscard]] bool inUse(const std::string& digest) const;
  // Drops what is over; how many rows.
  std::int64_t prune();

 private:
  [[nodiscard]] std::int64_t count(const char* query, const std::string& tenantId) const;
  Store& store_;
};

}  // namespace cloister::store
