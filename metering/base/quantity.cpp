#include "metering/base/quantity.h"

#include <algorithm>

namespace cloister::metering {

std::string decimal(Quantity quantity) {
  std::string digits;
  do {
    digits.push_back(static_cast<char>('0' + static_cast<int>(quantity % 10U)));
    quantity /= 10U;
  } while (quantity != 0);
  std::reverse(digits.begin(), digits.end());
  return digits;
}

}  // namespace cloister::metering
