// A classic BPF program for seccomp, built from its end to its beginning.
//
// Every jump of such a program leads forward, so what is jumped to is made first: each function adds at most a few
// instructions in front of those that are there and returns a Label, where one enters. Two requests for the same
// instructions get the same label, so equal ends are shared, and a conditional jump that would lead too far (8 bits of
// offset) gets a copy of its target nearby. All loads are of 32 bits: of an argument, the low half.
// Threads: not shared. Failures: finish() refuses a program that is longer than the kernel takes (E2BIG).
#pragma once

#include <linux/filter.h>

#include <cstddef>
#include <cstdint>
#include <map>
#include <span>
#include <tuple>
#include <vector>

#include "sandbox/base/result.h"

namespace cloister::policy {

class FilterProgram {
 public:
  using Label = std::size_t;

  // Where each value of the accumulator leads, from `first` to the next one's `first`. The first of all begins with 0.
  struct Range {
    std::uint32_t first = 0;
    Label target = 0;
  };

  // Ends with this SECCOMP_RET_ value.
  [[nodiscard]] Label answer(std::uint32_t action);
  // Loads a word of seccomp_data, keeps the bits of the mask, goes on.
  [[nodiscard]] Label load(std::uint32_t offset, std::uint32_t mask, Label next);
  // Two-way decisions on the accumulator.
  [[nodiscard]] Label whetherEqual(std::uint32_t value, Label yes, Label no);
  [[nodiscard]] Label whetherAnyBit(std::uint32_t bits, Label yes, Label no);
  // Binary search for the accumulator's range; neighbours that lead to the same place count as one.
  [[nodiscard]] Label search(std::span<const Range> ranges);

  [[nodiscard]] Result<std::vector<sock_filter>> finish(Label start);

 private:
  using Key = std::tuple<std::uint16_t, std::uint32_t, Label, Label>;
  [[nodiscard]] Label put(const sock_filter& instruction);
  [[nodiscard]] Label conditional(std::uint16_t code, std::uint32_t value, Label yes, Label no);
  [[nodiscard]] Label halve(std::span<const Range> ranges);
  // The instruction itself, or a copy of it that a conditional jump in front of all can reach.
  [[nodiscard]] Label near(Label target);
  [[nodiscard]] std::uint32_t distance(Label target) const;

  std::vector<sock_filter> reversed_;  // a Label is an index into it
  std::map<Key, Label> known_;
  std::map<Label, Label> nearest_;
};

}  // namespace cloister::policy
