// Lineage: which rows of a tenant's chain what is exported rests on.
//
//   usage of an hour     from the first to the last row of that hour, app and meter
//   a plan's fee         from the event by which the plan was held first, to the invoice's last row
//   a correction         from the first row of the month that it corrects (of a fee: from its event), to the last row
//   all that follows     minimum, credits, taxes, rounding: from the first row of any of these, to the last row
//
// Threads: values. Failures: none.
#pragma once

#include <map>
#include <string>
#include <tuple>
#include <vector>

#include "metering/rating/invoice.h"

namespace cloister::metering {

// From `first` to `last`, both included; rows of other things may stand between them. All 0: none.
struct RowRange {
  std::uint64_t first = 0;
  std::uint64_t last = 0;
  std::string head;  // hexadecimal hash of the row `last`
};

// The usage of an hour, and the first and the last of the rows that it is the sum of.
struct MeteredHour {
  HourUsage usage;
  RowRange rows;
};

// An event that changed a tenant's plan.
struct PlanRow {
  std::int64_t at = 0;
  std::uint64_t row = 0;
};

class Lineage {
 public:
  // `hours`: of the invoice's month. `firstRows`: of the months that it corrects. `plans`: by time, up to its last row.
  Lineage(const Invoice& invoice, const std::vector<MeteredHour>& hours, std::map<Period, std::uint64_t> firstRows,
          std::vector<PlanRow> plans);

  // Of usage.
  [[nodiscard]] RowRange of(const Charge& charge) const;
  // Of anything else.
  [[nodiscard]] RowRange of(const InvoiceLine& line) const;

 private:
  [[nodiscard]] std::uint64_t firstOf(const InvoiceLine& line) const;
  [[nodiscard]] std::uint64_t firstPlan(const Period& span) const;
  std::map<std::tuple<std::int64_t, std::string, Meter>, RowRange> hours_;
  std::map<Period, std::uint64_t> firstRows_;
  std::vector<PlanRow> plans_;
  RowRange whole_;
};

}  // namespace cloister::metering
