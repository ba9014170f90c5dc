// Closing: a month that is over becomes invoices, and with it nothing of it changes any more.
//
// Months close in order and each once, so a correction can only be of a month before its invoice's. The price lists
// cover a month whole when it closes and do not change for it after that: a later look at its rows makes the same
// charges. What comes for a closed month, also for a tenant that got no invoice for it, is late and corrected with the
// tenant's next invoice. The first close also closes the months before it, back to the price book's beginning: nothing
// was used in them.
//
// Crash: invoices are written in chunks, the month is on record as closed after the last of them. A close that ended
// in between is completed by the next one.
// Part of Billing; others call that. Threads: the caller holds the connection's mutex; other processes may write
// between any two transactions. Failures: Error of the connection, of rating, or
//   stage "period"       the month cannot be closed now: operation = why
//   stage "price list"   as price_list.h; path = the field
#pragma once

#include "metering/base/sql.h"
#include "metering/billing/billing.h"

namespace cloister::metering {

[[nodiscard]] Result<Closing> closeMonth(Connection& database, const Period& period, const TenantNamesById& names,
                                         std::int64_t now);

// Whether the book takes the list and all that is billed stays as it is.
[[nodiscard]] Status checkList(Connection& database, const PriceList& list);

}  // namespace cloister::metering
