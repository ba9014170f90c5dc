// Hours: the ledger's rows summed by the hour, app and meter, and what rating needs of a tenant.
//
// Part of Billing; others call that. Threads: the caller holds the connection's mutex. A Reader's statements belong to
// its connection and go before it. Failures: Error of the connection.
#pragma once

#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "metering/base/sql.h"
#include "metering/export/lineage.h"
#include "metering/rating/rate.h"

namespace cloister::metering {

// Adds what each tenant's chain has beyond `rolled` to `hours` and, of the control plane's own rows, to `lifecycle`;
// marks as late what closed months got of it: usage its own month, a change of plan each from its own on. One
// transaction.
[[nodiscard]] Status rollUpAll(Connection& database);

// What each tenant has used of a meter.
[[nodiscard]] Result<std::map<std::string, Quantity>> usedByTenant(Connection& database, const Period& period,
                                                                   Meter meter);

// How far a tenant's hours reach in its chain.
struct Reach {
  std::uint64_t lastRow = 0;
  std::string head;  // hexadecimal hash of that row
};

class HoursReader {
 public:
  [[nodiscard]] static Result<HoursReader> open(Connection& database);

  [[nodiscard]] Result<RatingInput> input(const std::string& tenantId, const Period& period);
  // The same from the rows themselves, as they stood when the chain ended with `lastRow`.
  [[nodiscard]] Result<RatingInput> inputUpTo(const std::string& tenantId, const Period& period, std::uint64_t lastRow);
  // The hours of a month that have rows beyond `after`, each whole, as they stood then; by hour, app and meter.
  [[nodiscard]] Result<std::vector<MeteredHour>> meteredHours(const std::string& tenantId, const Period& period,
                                                              std::uint64_t after, std::uint64_t lastRow);
  // The months of the usage in rows beyond `after`, up to `lastRow`.
  [[nodiscard]] Result<std::set<Period>> monthsUsed(const std::string& tenantId, std::uint64_t after,
                                                    std::uint64_t lastRow);
  // By time; those in rows up to `lastRow`.
  [[nodiscard]] Result<std::vector<PlanRow>> planRows(const std::string& tenantId, std::uint64_t lastRow);
  // Nothing: the tenant has no rows.
  [[nodiscard]] Result<std::optional<Reach>> reach(const std::string& tenantId);
  [[nodiscard]] Result<std::vector<Period>> lateMonths(const std::string& tenantId, const Period& before);
  // All that have rows; hosts have some too, and are none.
  [[nodiscard]] Result<std::vector<std::string>> tenants();

 private:
  explicit HoursReader(Connection& database) : database_(&database) {}
  struct Recorded {
    LifecycleEvent event;
    std::uint64_t row = 0;
  };
  [[nodiscard]] Result<std::vector<Recorded>> events(const std::string& tenantId, std::uint64_t lastRow);
  [[nodiscard]] Result<std::vector<PlanSpan>> plans(const std::string& tenantId, std::uint64_t lastRow);
  Connection* database_;
  Statement hours_;
  Statement metered_;
  Statement used_;
  Statement reach_;
  Statement late_;
  Statement lifecycle_;
};

}  // namespace cloister::metering
