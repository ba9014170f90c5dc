// An invoice for people and for spreadsheets, and a month's usage as CloudEvents.
//
// Threads: pure functions. Failures: none.
#pragma once

#include <functional>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "metering/export/lineage.h"
#include "metering/rating/invoice.h"

namespace cloister::metering {

using AppNames = std::map<std::string, std::string>;  // by id; one that is gone keeps its id

// A line of the invoice each; amounts are plain decimals. The last line is the total.
[[nodiscard]] std::string invoiceCsv(const Invoice& invoice, const AppNames& apps);
// One page, no script, nothing loaded from elsewhere.
[[nodiscard]] std::string invoiceHtml(const Invoice& invoice, const AppNames& apps, const std::string& issuer);

// One CloudEvent 1.0 (JSON) a line for each hour, app and meter: what Billing::hoursOf() has of an invoice or a draft.
//
// An event states the whole quantity of its hour, not a difference. `subject` "TENANT/APP/METER/HOUR" is the same in
// every export; `sequence` (CloudEvents' extension) is the last of the ledger's rows in it, with leading zeros, and the
// id is the two, so an hour that got no more keeps its id, and one that did, also in a closed month, has another. To
// add up: of the events with one subject, take that with the greatest sequence.
void writeCloudEvents(const std::string& tenantId, const std::vector<MeteredHour>& hours,
                      const std::function<void(std::string_view)>& sink);

}  // namespace cloister::metering
