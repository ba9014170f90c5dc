// libFuzzer's entry point; CLOISTER_FUZZ_TARGET names the function of targets.h.
#include "tests/fuzz/targets.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size);

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  return cloister::fuzz::CLOISTER_FUZZ_TARGET(data, size);
}
