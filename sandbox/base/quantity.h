// Amounts as people write them: "256 MiB", "0.5 core", "100 Mbit/s".
//
// Threads: pure functions. Failures: none.
#pragma once

#include <string>

namespace cloister {

// Two digits behind the point below 10, one above, and no zeros at the end: "2.75", "12.5", "300".
[[nodiscard]] std::string shortNumber(double value);
[[nodiscard]] std::string humanBytes(double bytes);         // "1.5 GiB"
[[nodiscard]] std::string humanRate(double bitsPerSecond);  // "100 Mbit/s": powers of ten
[[nodiscard]] std::string humanCpu(double millis);          // "0.5 core", "2 cores"

}  // namespace cloister
