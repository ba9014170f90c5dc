#include "policy/model/filter_program.h"

#include <cerrno>

namespace cloister::policy {
namespace {

// One less than the offset's 255: the second copy that a jump needs pushes the first one away by one.
constexpr std::uint32_t kReach = 254;
constexpr std::uint16_t kReturn = BPF_RET | BPF_K;
constexpr std::uint16_t kJump = BPF_JMP | BPF_JA;
constexpr std::uint16_t kLoad = BPF_LD | BPF_W | BPF_ABS;
constexpr std::uint16_t kAnd = BPF_ALU | BPF_AND | BPF_K;
constexpr std::uint32_t kAllBits = 0xffffffffU;

}  // namespace

FilterProgram::Label FilterProgram::put(const sock_filter& instruction) {
  reversed_.push_back(instruction);
  return reversed_.size() - 1;
}

std::uint32_t FilterProgram::distance(Label target) const {
  return static_cast<std::uint32_t>(reversed_.size() - target - 1);
}

FilterProgram::Label FilterProgram::near(Label target) {
  const auto [copy, isNew] = nearest_.try_emplace(target, target);
  if (distance(copy->second) > kReach) {
    const sock_filter& original = reversed_.at(target);
    copy->second = put(original.code == kReturn ? original : sock_filter{kJump, 0, 0, distance(target)});
  }
  return copy->second;
}

FilterProgram::Label FilterProgram::answer(std::uint32_t action) {
  const auto [known, isNew] = known_.try_emplace(Key{kReturn, action, 0, 0});
  if (isNew) known->second = put({kReturn, 0, 0, action});
  return known->second;
}

FilterProgram::Label FilterProgram::load(std::uint32_t offset, std::uint32_t mask, Label next) {
  const auto [known, isNew] = known_.try_emplace(Key{kLoad, offset, mask, next});
  if (isNew) {
    // A load has no target of its own: what it goes on to must be the very next instruction.
    if (distance(next) != 0) (void)put({kJump, 0, 0, distance(next)});
    if (mask != kAllBits) (void)put({kAnd, 0, 0, mask});
    known->second = put({kLoad, 0, 0, offset});
  }
  return known->second;
}

FilterProgram::Label FilterProgram::conditional(std::uint16_t code, std::uint32_t value, Label yes, Label no) {
  if (yes == no) return yes;
  const auto [known, isNew] = known_.try_emplace(Key{code, value, yes, no});
  if (isNew) {
    const Label nearYes = near(yes);
    const Label nearNo = near(no);
    known->second =
        put({code, static_cast<std::uint8_t>(distance(nearYes)), static_cast<std::uint8_t>(distance(nearNo)), value});
  }
  return known->second;
}

FilterProgram::Label FilterProgram::whetherEqual(std::uint32_t value, Label yes, Label no) {
  return conditional(BPF_JMP | BPF_JEQ | BPF_K, value, yes, no);
}

FilterProgram::Label FilterProgram::whetherAnyBit(std::uint32_t bits, Label yes, Label no) {
  return conditional(BPF_JMP | BPF_JSET | BPF_K, bits, yes, no);
}

FilterProgram::Label FilterProgram::search(std::span<const Range> ranges) {
  std::vector<Range> merged;
  for (const Range& range : ranges) {
    if (merged.empty() || merged.back().target != range.target) merged.push_back(range);
  }
  // One value amid others that lead elsewhere: one comparison instead of the two that three ranges take.
  std::vector<Range> leaves;
  for (std::size_t i = 0; i < merged.size();) {
    const bool amid = i + 2 < merged.size() && merged[i].target == merged[i + 2].target &&
                      merged[i + 1].first + 1 == merged[i + 2].first;
    leaves.push_back(merged[i]);
    if (amid) leaves.back().target = whetherEqual(merged[i + 1].first, merged[i + 1].target, merged[i].target);
    i += amid ? 3 : 1;
  }
  return halve(leaves);
}

FilterProgram::Label FilterProgram::halve(std::span<const Range> ranges) {
  if (ranges.size() == 1) return ranges.front().target;
  const std::size_t middle = ranges.size() / 2;
  const Label above = halve(ranges.subspan(middle));
  const Label below = halve(ranges.first(middle));
  return conditional(BPF_JMP | BPF_JGE | BPF_K, ranges[middle].first, above, below);
}

Result<std::vector<sock_filter>> FilterProgram::finish(Label start) {
  if (distance(start) != 0) (void)put({kJump, 0, 0, distance(start)});
  if (reversed_.size() > BPF_MAXINSNS) return Error{"seccomp", "program", "", E2BIG};
  return std::vector<sock_filter>(reversed_.rbegin(), reversed_.rend());
}

}  // namespace cloister::policy
