// Lineage: which rows of a tenant's chain what is exported rests on.
//
// Threads: values. Failures: none.
#pragma once

#include <string>

#include "metering/rating/rate.h"

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

}  // namespace cloister::metering
