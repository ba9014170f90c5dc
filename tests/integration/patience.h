// How long tests wait for what must come: longer where the whole machine is emulated.
//
// CLOISTER_TEST_SLOWNESS is a factor on every such wait (1 without it). What must *not* come is waited for as long as
// ever. Threads: any. Failures: none; what is no number counts as 1.
#pragma once

#include <cstdlib>

namespace cloister::test {

[[nodiscard]] inline int patient(int duration) {
  const char* factor = std::getenv("CLOISTER_TEST_SLOWNESS");
  const int times = factor == nullptr ? 1 : std::atoi(factor);
  return duration * (times < 1 ? 1 : times);
}

}  // namespace cloister::test
