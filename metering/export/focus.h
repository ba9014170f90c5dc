// FOCUS: an invoice as a cost and usage file of the FinOps Open Cost and Usage Specification, 1.2 or 1.3, as CSV.
//
// A row an hour, app, price and tier of usage; a row for each other line. The sum of BilledCost is the invoice's total,
// to the micro-unit. Lineage: x_LedgerFirstSeq and x_LedgerLastSeq say from which to which row of the tenant's chain
// the file's row rests on (lineage.h), x_ChainHead is the hash of the last of them. Names in the file: BillingAccount
// is the tenant, SubAccount and Resource the app, Region the provider's, who issues, provides and hosts all that there
// is. Threads: pure functions. Failures: none.
#pragma once

#include <functional>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "metering/export/focus_version.h"
#include "metering/export/lineage.h"
#include "metering/rating/invoice.h"

namespace cloister::metering {

struct FocusContext {
  std::string issuer;  // the provider's name
  std::string region;
  std::map<std::string, std::string> appNames;  // by id
  FocusVersion version = FocusVersion::v12;
};

// `charges`: those that the invoice's lines of usage were summed from.
void writeFocus(const Invoice& invoice, const std::vector<Charge>& charges, const Lineage& lineage,
                const FocusContext& context, const std::function<void(std::string_view)>& sink);

// One CSV field (RFC 4180).
[[nodiscard]] std::string csvField(std::string_view text);

}  // namespace cloister::metering
