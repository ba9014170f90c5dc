// Units that prices are quoted in, and which meters can be sold by them.
//
// A pricing unit is a whole number of a meter's base units (usage.h): a core-hour is 3.6 x 10^12 ns. GB is 10^9 bytes,
// GiB 2^30. `focus` is the name in FOCUS's unit format (PricingUnit).
// Threads: constants. Failures: findUnit() gives null for an unknown name.
#pragma once

#include <string_view>

#include "metering/base/quantity.h"
#include "metering/base/usage.h"

namespace cloister::metering {

struct PricingUnit {
  std::string_view name;   // as price lists write it
  std::string_view focus;  // as FOCUS writes it
  Quantity per = 1;        // base units
  std::string_view base;   // meterUnit() of the meters that can be sold by it
};

[[nodiscard]] const PricingUnit* findUnit(std::string_view name);
// "core-hour, gib-hour ...", for messages.
[[nodiscard]] std::string_view unitNames();
// FOCUS's ServiceCategory and ServiceName of a meter.
[[nodiscard]] std::string_view serviceCategory(Meter meter);
[[nodiscard]] std::string_view serviceName(Meter meter);

}  // namespace cloister::metering
