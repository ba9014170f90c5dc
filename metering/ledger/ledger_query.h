// The ledger's sums over its rows, by SQL on a reader's connection. Part of Ledger; others call Ledger::query().
//
// Threads: the caller holds the connection's mutex. Failures: Error of the connection.
#pragma once

#include <vector>

#include "metering/base/sql.h"
#include "metering/ledger/ledger.h"

namespace cloister::metering {

[[nodiscard]] Result<std::vector<UsageSum>> sumRows(Connection& database, const UsageQuery& query);

}  // namespace cloister::metering
