// Text: Prometheus' exposition format 0.0.4, as far as Cloister writes it.
//
// Numbers read back as what they were: integers and scaled integers are exact decimals of any length, doubles have the
// fewest of 17 digits that tell them from their neighbours. prometheus-cpp's own serializer writes 16 significant
// digits of everything (2^55 becomes 3.602879701896397e+16) and NaN as "Nan", which some readers refuse.
// Label values are escaped (backslash, quote, newline); bytes that are no UTF-8, and NUL, become \x and two digits: one
// such byte would make Prometheus refuse the whole page.
// Threads and failures: pure functions.
#pragma once

#include <prometheus/metric_family.h>

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "metering/base/quantity.h"

namespace cloister::metering {

void appendNumber(std::string& out, double value);
void appendInteger(std::string& out, std::uint64_t value);
// quantity / 10^digits; at most 18 digits. "2.5", never "2.50".
void appendScaled(std::string& out, Quantity quantity, unsigned digits);
void appendLabelValue(std::string& out, std::string_view value);
// "# HELP" and "# TYPE".
void appendHead(std::string& out, std::string_view name, std::string_view help, std::string_view type);
// Whole families, as prometheus-cpp's registry collects them.
void appendFamilies(std::string& out, const std::vector<prometheus::MetricFamily>& families);

}  // namespace cloister::metering
