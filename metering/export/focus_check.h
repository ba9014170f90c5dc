// Conformance of a FOCUS file to a version (1.2 or 1.3): the rules of the specification for the columns that a host's
// file has, and for each InvoiceId the sum of BilledCost. The specification's own validator is not in Debian.
//
// Rules: the version's mandatory columns are there once, and columns that it does not define begin with x_; no value of
// a mandatory one is empty but where it may be null; moments are UTC, periods begin before they end, charge periods of
// anything but corrections lie in the billing period; numbers are plain decimals; the enumerations; a correction has
// ChargeClass; usage and purchases have SKU, quantity, unit and price, and the product of quantity and price is
// ListCost, unless they are corrections; taxes have none of the four; nothing but usage is consumed. Of the lineage in
// x_ columns, where a file has it: ranges are such, a row of the chain has one hash, and credits, taxes and adjustments
// rest on all rows that the invoice's other charges do. Threads: pure. Failures: findings "row 7: ListCost: ...", at
// most kMostFindings.
#pragma once

#include <functional>
#include <map>
#include <string>
#include <vector>

#include "metering/export/focus_version.h"
#include "metering/rating/money.h"

namespace cloister::metering {

inline constexpr std::size_t kMostFindings = 20;

struct FocusReport {
  std::uint64_t rows = 0;
  std::map<std::string, Money> billed;  // by InvoiceId
  std::vector<std::string> findings;
  [[nodiscard]] bool conforms() const { return findings.empty(); }
};

[[nodiscard]] FocusReport checkFocus(const std::string& csv, FocusVersion version);

}  // namespace cloister::metering
