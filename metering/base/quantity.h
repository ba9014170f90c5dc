// Quantity: a sum of usage, 128 bits wide, for byte-milliseconds pass 2^64 within months.
//
// Threads and failures: pure functions; addition cannot overflow within 2^64 rows.
#pragma once

#include <cstdint>
#include <string>

namespace cloister::metering {

__extension__ using Quantity = unsigned __int128;

// Decimal digits.
[[nodiscard]] std::string decimal(Quantity quantity);
[[nodiscard]] inline double approximate(Quantity quantity) {
  return static_cast<double>(quantity);
}

}  // namespace cloister::metering
