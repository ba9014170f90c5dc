#include "tests/unit/policy/model/bpf_interpreter.h"

#include <array>
#include <cstring>

namespace cloister::policy {
namespace {

bool holds(std::uint16_t operation, std::uint32_t accumulator, std::uint32_t operand) {
  switch (operation) {
    case BPF_JEQ:
      return accumulator == operand;
    case BPF_JGT:
      return accumulator > operand;
    case BPF_JGE:
      return accumulator >= operand;
    default:
      return (accumulator & operand) != 0;
  }
}

}  // namespace

Interpreted interpret(std::span<const sock_filter> program, const seccomp_data& call) {
  std::array<std::uint32_t, sizeof(seccomp_data) / sizeof(std::uint32_t)> words{};
  std::memcpy(words.data(), &call, sizeof call);
  std::array<std::uint32_t, BPF_MEMWORDS> memory{};
  std::uint32_t accumulator = 0;
  unsigned count = 0;
  for (std::size_t at = 0; at < program.size(); ++at) {
    const sock_filter& one = program[at];
    ++count;
    switch (one.code) {
      case BPF_LD | BPF_W | BPF_ABS:
        if (one.k % sizeof(std::uint32_t) != 0 || one.k >= sizeof call) return {kRanOff, count};
        accumulator = words.at(one.k / sizeof(std::uint32_t));
        break;
      case BPF_LD | BPF_MEM:
        accumulator = memory.at(one.k);
        break;
      case BPF_ST:
        memory.at(one.k) = accumulator;
        break;
      case BPF_ALU | BPF_AND | BPF_K:
        accumulator &= one.k;
        break;
      case BPF_JMP | BPF_JA:
        at += one.k;
        break;
      case BPF_JMP | BPF_JEQ | BPF_K:
      case BPF_JMP | BPF_JGT | BPF_K:
      case BPF_JMP | BPF_JGE | BPF_K:
      case BPF_JMP | BPF_JSET | BPF_K:
        at += holds(BPF_OP(one.code), accumulator, one.k) ? one.jt : one.jf;
        break;
      case BPF_RET | BPF_K:
        return {one.k, count};
      default:
        return {kRanOff, count};
    }
  }
  return {kRanOff, count};
}

}  // namespace cloister::policy
