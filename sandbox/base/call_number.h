// The bound of x86_64's system call numbers, apart from CallSet because cloister-init is built without a C++ library.
//
// Threads and failures: a constant.
#pragma once

namespace cloister {

// No call of x86_64 has a number from here on: what lies above is unknown, or of another ABI.
inline constexpr unsigned kMostCalls = 512;

}  // namespace cloister
