#include "policy/model/seccomp.h"

#include <linux/audit.h>
#include <linux/seccomp.h>

#include <algorithm>
#include <cerrno>
#include <map>
#include <set>
#include <string>
#include <utility>

#include "policy/model/filter_program.h"

namespace cloister::policy {
namespace {

#include "policy/profiles.inc"  // generated: namespace profiles, a constant a class

using Label = FilterProgram::Label;

constexpr std::string_view kStage = "seccomp";
constexpr unsigned kArguments = 6;
constexpr std::uint32_t kAllBits = 0xffffffffU;
constexpr std::uint32_t kX32Bit = 0x40000000;
// A tracer's "skip this call", and no number of any ABI.
constexpr std::uint32_t kNoCall = 0xffffffffU;
constexpr std::uint32_t kNumberOffset = offsetof(seccomp_data, nr);
constexpr std::uint32_t kArchitectureOffset = offsetof(seccomp_data, arch);
// Far more than a sensible profile needs: rules that multiply each other's cases end here instead of filling memory.
constexpr unsigned kMostDecisions = 1U << 16U;

// x86_64 is little-endian: an argument's low half comes first.
constexpr std::uint32_t lowHalfOf(unsigned argument) {
  return static_cast<std::uint32_t>(offsetof(seccomp_data, args) + argument * sizeof(std::uint64_t));
}

// The kernel takes the errno from the action's low half, and that of kAnswersZero is 0: success.
constexpr std::uint32_t denied(int error) {
  return SECCOMP_RET_ERRNO | (static_cast<std::uint32_t>(error) & SECCOMP_RET_DATA);
}

Error invalid(std::string_view operation, std::string_view path) {
  return Error{std::string(kStage), std::string(operation), std::string(path), EINVAL};
}

// No arguments pass the tests of both: an argument would have to have two values at once.
bool neverMeet(const SyscallRule& one, const SyscallRule& other) {
  return std::any_of(one.tests.begin(), one.tests.end(), [&](const ArgumentTest& mine) {
    return std::any_of(other.tests.begin(), other.tests.end(), [&](const ArgumentTest& its) {
      return mine.argument == its.argument && ((mine.value ^ its.value) & mine.mask & its.mask) != 0;
    });
  });
}

// Two denials with tests that answer differently and could both hold: the order of the rules would decide.
Status checkDenials(const SeccompProfile& profile) {
  std::map<unsigned, std::vector<const SyscallRule*>> seen;
  for (const auto& rule : profile.rules) {
    if (rule.denyErrno == 0 || rule.tests.empty()) continue;
    auto& others = seen[rule.number];
    for (const SyscallRule* other : others) {
      if (other->denyErrno != rule.denyErrno && !neverMeet(rule, *other)) return invalid("contradiction", rule.call);
    }
    others.push_back(&rule);
  }
  return {};
}

Status check(const SeccompProfile& profile) {
  if (allowedCount(profile) == 0) return invalid("empty profile", profile.name);
  std::map<unsigned, int> unconditional;
  for (const auto& rule : profile.rules) {
    if (rule.number >= kMostCalls) return invalid("number", rule.call);
    std::set<unsigned> arguments;
    for (const auto& test : rule.tests) {
      if (test.argument >= kArguments || !arguments.insert(test.argument).second) return invalid("argument", rule.call);
      if (test.mask == 0 || (test.value & ~test.mask) != 0)
        return invalid("test that never or always holds", rule.call);
    }
    if (!rule.tests.empty()) continue;
    const auto [known, added] = unconditional.emplace(rule.number, rule.denyErrno);
    if (!added && known->second != rule.denyErrno) return invalid("contradiction", rule.call);
  }
  return checkDenials(profile);
}

// One way in which a call's arguments decide. Of several, the first whose tests all hold.
struct Way {
  std::vector<ArgumentTest> tests;
  std::uint32_t action = 0;
};
using Ways = std::vector<Way>;

// The documented order of evaluation.
int placeOf(const SyscallRule& rule) {
  if (rule.denyErrno == 0) return 1;
  return rule.tests.empty() ? 2 : 0;
}

std::map<unsigned, Ways> waysByNumber(const SeccompProfile& profile) {
  std::vector<const SyscallRule*> ordered;
  for (const auto& rule : profile.rules) ordered.push_back(&rule);
  std::stable_sort(ordered.begin(), ordered.end(),
                   [](const auto* one, const auto* other) { return placeOf(*one) < placeOf(*other); });
  std::map<unsigned, Ways> ways;
  for (const auto* rule : ordered) {
    ways[rule->number].push_back(
        {{rule->tests.begin(), rule->tests.end()}, rule->denyErrno == 0 ? SECCOMP_RET_ALLOW : denied(rule->denyErrno)});
  }
  return ways;
}

bool sameBits(const ArgumentTest& test, unsigned argument, std::uint32_t mask) {
  return test.argument == argument && test.mask == mask;
}

// What is left to decide when the argument's masked bits are known to be `value`.
Ways assuming(const Ways& ways, unsigned argument, std::uint32_t mask, std::uint32_t value) {
  Ways left;
  for (const Way& way : ways) {
    Way rest{{}, way.action};
    bool possible = true;
    for (const ArgumentTest& test : way.tests) {
      if (test.argument == argument) {
        possible = possible && ((value ^ test.value) & mask & test.mask) == 0;
        if ((test.mask & ~mask) == 0) continue;
      }
      rest.tests.push_back(test);
    }
    if (possible) left.push_back(std::move(rest));
  }
  return left;
}

// What is left to decide when they are none of the values that are tested for.
Ways assumingOther(Ways ways, unsigned argument, std::uint32_t mask) {
  std::erase_if(ways, [&](const Way& way) {
    return std::any_of(way.tests.begin(), way.tests.end(),
                       [&](const ArgumentTest& test) { return sameBits(test, argument, mask); });
  });
  return ways;
}

std::set<std::uint32_t> valuesOf(const Ways& ways, unsigned argument, std::uint32_t mask) {
  std::set<std::uint32_t> values;
  for (const Way& way : ways) {
    for (const ArgumentTest& test : way.tests) {
      if (sameBits(test, argument, mask)) values.insert(test.value);
    }
  }
  return values;
}

class Compiler {
 public:
  [[nodiscard]] Result<std::vector<sock_filter>> run(const SeccompProfile& profile) {
    const Label unknown = program_.answer(denied(ENOSYS));
    const Label kill = program_.answer(SECCOMP_RET_KILL_PROCESS);
    std::vector<FilterProgram::Range> numbers = {{0, unknown}};
    for (const auto& [number, ways] : waysByNumber(profile)) {
      // A number's range ends with itself; one that follows at once begins where it would end.
      if (numbers.back().first == number) numbers.pop_back();
      numbers.push_back({number, decide(ways, denied(ENOSYS), kNothing)});
      numbers.push_back({number + 1, unknown});
    }
    numbers.push_back({kX32Bit, kill});
    numbers.push_back({kNoCall, unknown});
    const Label native = program_.load(kNumberOffset, kAllBits, program_.search(numbers));
    const Label start =
        program_.load(kArchitectureOffset, kAllBits, program_.whetherEqual(AUDIT_ARCH_X86_64, native, kill));
    if (decisions_ > kMostDecisions) return Error{std::string(kStage), "program", std::string(profile.name), E2BIG};
    return program_.finish(start);
  }

 private:
  static constexpr unsigned kNothing = kArguments;

  // `loaded`: the argument whose whole low half is in the accumulator.
  Label decide(Ways ways, std::uint32_t otherwise, unsigned loaded) {
    const auto always = std::find_if(ways.begin(), ways.end(), [](const Way& way) { return way.tests.empty(); });
    if (always != ways.end()) otherwise = always->action;
    ways.erase(always, ways.end());
    while (!ways.empty() && ways.back().action == otherwise) ways.pop_back();
    if (ways.empty() || ++decisions_ > kMostDecisions) return program_.answer(otherwise);

    const unsigned argument = ways.front().tests.front().argument;
    const std::uint32_t mask = ways.front().tests.front().mask;
    const std::set<std::uint32_t> values = valuesOf(ways, argument, mask);
    const bool oneBit = (mask & (mask - 1)) == 0;
    const unsigned keeps = mask == kAllBits || oneBit ? argument : kNothing;
    const Label other = decide(assumingOther(ways, argument, mask), otherwise, keeps);
    const auto leadsTo = [&](std::uint32_t value) {
      return values.contains(value) ? decide(assuming(ways, argument, mask, value), otherwise, keeps) : other;
    };
    Label decision = 0;
    if (oneBit) {
      const Label set = leadsTo(mask);
      decision = program_.whetherAnyBit(mask, set, leadsTo(0));
    } else {
      std::vector<FilterProgram::Range> ranges = {{0, other}};
      for (const std::uint32_t value : values) {
        if (ranges.back().first == value) ranges.pop_back();
        ranges.push_back({value, leadsTo(value)});
        if (value != kAllBits) ranges.push_back({value + 1, other});
      }
      decision = program_.search(ranges);
    }
    if (oneBit ? loaded == argument : loaded == argument && mask == kAllBits) return decision;
    return program_.load(lowHalfOf(argument), oneBit ? kAllBits : mask, decision);
  }

  FilterProgram program_;
  unsigned decisions_ = 0;
};

}  // namespace

const SeccompProfile& profileFor(launcher::Confinement confinement) {
  switch (confinement) {
    case launcher::Confinement::app:
      return profiles::app;
    case launcher::Confinement::build:
      return profiles::build;
    case launcher::Confinement::exec:
      return profiles::exec;
    case launcher::Confinement::freeze:
      return profiles::freeze;
  }
  static constexpr SeccompProfile kNone{};
  return kNone;
}

const SeccompProfile& profileFor(OwnProcess process) {
  switch (process) {
    case OwnProcess::launcher:
      return profiles::launcher;
    case OwnProcess::node:
      return profiles::node;
    case OwnProcess::daemon:
      return profiles::daemon;
  }
  static constexpr SeccompProfile kNone{};
  return kNone;
}

const SeccompProfile& floorProfile() {
  return profiles::floor;
}

Result<std::vector<sock_filter>> compile(const SeccompProfile& profile) {
  if (auto good = check(profile); !good) return good.error();
  return Compiler().run(profile);
}

std::size_t allowedCount(const SeccompProfile& profile) {
  std::set<unsigned> calls;
  for (const auto& rule : profile.rules) {
    if (rule.denyErrno == 0) calls.insert(rule.number);
  }
  return calls.size();
}

}  // namespace cloister::policy
