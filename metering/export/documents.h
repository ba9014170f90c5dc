// An invoice for people and for spreadsheets, and a month's usage as CloudEvents.
//
// Threads: pure functions. Failures: none.
#pragma once

#include <functional>
#include <map>
#include <string>
#include <string_view>

#include "metering/rating/invoice.h"

namespace cloister::metering {

using AppNames = std::map<std::string, std::string>;  // by id; one that is gone keeps its id

// A line of the invoice each; amounts are plain decimals. The last line is the total.
[[nodiscard]] std::string invoiceCsv(const Invoice& invoice, const AppNames& apps);
// One page, no script, nothing loaded from elsewhere.
[[nodiscard]] std::string invoiceHtml(const Invoice& invoice, const AppNames& apps, const std::string& issuer);

// One CloudEvent 1.0 (JSON) a line for each hour, app and meter. The id is the same whenever it is made from the same
// rows: "TENANT/APP/METER/HOUR/LAST-ROW"; an hour that got more since has another, and its quantity takes the place.
void writeCloudEvents(const std::string& tenantId, const RatingInput& usage, std::uint64_t lastRow,
                      const std::function<void(std::string_view)>& sink);

}  // namespace cloister::metering
