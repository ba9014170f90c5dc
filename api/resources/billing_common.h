// What the resources of billing share: months and invoices of a request, results of metering as answers.
//
// Threads: any. Failures: Problem for what the caller did, LedgerFailure for the database.
#pragma once

#include <string>
#include <utility>

#include "api/ledger_failure.h"
#include "api/representation.h"
#include "api/router.h"
#include "api/services.h"

namespace cloister::api {

template <typename T>
T good(Result<T> result) {
  if (!result) throw LedgerFailure(result.error());
  return std::move(result).value();
}
inline void good(const Status& status) {
  if (!status) throw LedgerFailure(status.error());
}
// What the price book or the order of months does not allow is no fault of the server's: 422 price_missing,
// amount_range or period_order.
template <typename T>
T rated(Result<T> result);

[[nodiscard]] Json parsed(const std::string& json);
// {period} as 2026-11; Problem 400 when it is no month.
[[nodiscard]] metering::Period monthIn(const Request& request);
[[nodiscard]] metering::Invoice draftOf(const Services& services, const model::Tenant& tenant,
                                        const metering::Period& period);
// Why a month has no cost, or LedgerFailure when that is the database's fault.
[[nodiscard]] model::Failure ratingFailure(const Error& error);
[[noreturn]] void throwRating(const Error& error);

template <typename T>
T rated(Result<T> result) {
  if (!result) throwRating(result.error());
  return std::move(result).value();
}

void addBillingExports(Router& router, const Services& services);  // invoices as files, statements, FOCUS, events
void addLedger(Router& router, const Services& services);          // heads, verification, anomalies, gaps

}  // namespace cloister::api
