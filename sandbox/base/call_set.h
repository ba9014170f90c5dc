// CallSet: some of x86_64's system calls, by number.
//
// Threads and failures: a value and pure functions; numbers that no call can have are left out.
#pragma once

#include <bitset>
#include <cstdint>
#include <vector>

#include "sandbox/base/call_number.h"

namespace cloister {

using CallSet = std::bitset<kMostCalls>;

[[nodiscard]] inline CallSet callSet(const std::vector<std::uint32_t>& numbers) {
  CallSet calls;
  for (const std::uint32_t number : numbers) {
    if (number < kMostCalls) calls.set(number);
  }
  return calls;
}

// Ascending.
[[nodiscard]] inline std::vector<std::uint32_t> numbersOf(const CallSet& calls) {
  std::vector<std::uint32_t> numbers;
  for (std::uint32_t number = 0; number < kMostCalls; ++number) {
    if (calls.test(number)) numbers.push_back(number);
  }
  return numbers;
}

}  // namespace cloister
