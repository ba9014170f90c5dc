// System calls that between them meet every decision of a profile: all numbers, the architectures, and for calls whose
// arguments are looked at the values at which a verdict can change.
//
// Threads: pure functions. Failures: none.
#pragma once

#include <linux/seccomp.h>

#include <array>
#include <cstdint>
#include <functional>
#include <vector>

#include "policy/model/seccomp.h"

namespace cloister::policy {

// Every number of 0..600, their x32 twins, and numbers around each power of two and at both ends of int.
[[nodiscard]] std::vector<std::uint32_t> corpusNumbers();
// x86_64 first; then i386, arm, aarch64, riscv, s390x, a big-endian one, and what is none.
[[nodiscard]] const std::vector<std::uint32_t>& corpusArchitectures();

// Calls `visit` with each set of arguments that matters for the call: for every argument that one of its rules looks
// at, each rule's value, that value with each single bit of the low half flipped, with all bits outside the mask set,
// zero and all ones, all combined with all; then the rules' own values combined with every single bit of the high
// half and with whole high halves, one argument after the other.
void forEachArguments(const SeccompProfile& profile, std::uint32_t number,
                      const std::function<void(const std::array<std::uint64_t, 6>&)>& visit);

}  // namespace cloister::policy
