// What billing must know of tenants, and what it has decided: an outbox of the control plane's own rows for the ledger,
// network rates that a used-up allowance has lowered, and what was done about a month's spending already.
//
// A row is written in the transaction of the change itself and leaves the outbox once the ledger has it, so a crash
// loses none and doubles none. Its batch's number is never given twice, not even when the database was put back to an
// older state: it is at least the calendar's microseconds.
// Threads: any; each call takes the store's lock. Failures: StoreError.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "controlplane/model/model.h"
#include "metering/base/lifecycle.h"

namespace cloister::store {

class Store;

class LedgerOutbox {
 public:
  explicit LedgerOutbox(Store& store) : store_(store) {}
  // As one batch, or as several when there are many.
  void append(const std::vector<metering::UsageRow>& rows);
  // `what` of the tenant changed now from `previous` to `current`.
  void appendChange(const std::string& tenantId, const std::string& what, const std::string& previous,
                    const std::string& current);
  [[nodiscard]] std::vector<metering::UsageBatch> oldest(std::int64_t batches) const;
  void remove(std::uint64_t sequence);

 private:
  Store& store_;
};

class Throttles {
 public:
  explicit Throttles(Store& store) : store_(store) {}
  // Bits a second, by tenant.
  [[nodiscard]] std::map<std::string, std::uint64_t> all() const;
  void set(const std::string& tenantId, std::uint64_t bitsPerSecond, model::Micros until);
  // Takes away those that are over; true when there were any.
  bool dropBefore(model::Micros now);

 private:
  Store& store_;
};

class Alerts {
 public:
  explicit Alerts(Store& store) : store_(store) {}
  // True the first time for this tenant, month (its first moment) and kind; false for a tenant that is gone. To be
  // called in the transaction of what is done about it, so that a crash leaves both or neither. Forgets earlier months.
  bool first(const std::string& tenantId, model::Micros month, const std::string& kind);

 private:
  Store& store_;
};

}  // namespace cloister::store
