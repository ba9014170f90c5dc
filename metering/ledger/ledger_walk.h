// The verification of a tenant's chain: recomputed from its first row, its end and its sums compared with the head.
// Part of Ledger; others call Ledger::verify().
//
// Threads: the caller holds the connection's mutex and an open snapshot. Failures: the connection's Error.
#pragma once

#include <string>

#include "metering/base/sql.h"
#include "metering/ledger/ledger.h"

namespace cloister::metering {

[[nodiscard]] Result<Verification> walkChain(Connection& database, const std::string& tenantId);

}  // namespace cloister::metering
