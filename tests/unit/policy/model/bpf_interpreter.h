// The kernel's classic BPF machine, as far as seccomp accepts it, to ask a filter for its verdict without a call.
//
// Threads: pure functions. Failures: kRanOff for a program that runs off its end or holds what seccomp would refuse.
#pragma once

#include <linux/filter.h>
#include <linux/seccomp.h>

#include <cstdint>
#include <span>

namespace cloister::policy {

struct Interpreted {
  std::uint32_t action = 0;
  unsigned instructions = 0;  // carried out for it
};

inline constexpr std::uint32_t kRanOff = 0x12345678;

[[nodiscard]] Interpreted interpret(std::span<const sock_filter> program, const seccomp_data& call);

}  // namespace cloister::policy
