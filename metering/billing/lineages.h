// Lineages: the rows that invoices and their exports rest on, out of the database.
//
// Part of Billing; others call that. Threads: the caller holds the connection's mutex. Failures: Error of the
// connection.
#pragma once

#include <vector>

#include "metering/base/sql.h"
#include "metering/export/lineage.h"
#include "metering/rating/invoice.h"

namespace cloister::metering {

// The hours of the invoice's month, and those of months closed before it that got rows since the tenant's last invoice.
[[nodiscard]] Result<std::vector<MeteredHour>> meteredHoursOf(Connection& database, const Invoice& invoice);
[[nodiscard]] Result<Lineage> lineageFrom(Connection& database, const Invoice& invoice);

}  // namespace cloister::metering
