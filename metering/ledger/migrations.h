// The ledger's tables as numbered migrations: append-only by trigger, one number a row of a tenant, one batch a
// sequence.
//
// Names (tenants, apps, instances, sources, notes) stand once in `names` and are numbers everywhere else. `spans` is an
// index by time over runs of rows; `heads` and `gaps` carry the running sums, so that a start reads no rows.
// `heads.batch` is the last batch that moved the head: by it a process finds what another one wrote.
// Threads and failures: constants.
#pragma once

#include <array>

namespace cloister::metering {

extern const std::array<const char*, 10> kLedgerMigrations;

}  // namespace cloister::metering
