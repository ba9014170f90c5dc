// Our program against libseccomp's for the same profile: one verdict for every call of the corpus, interpreted; and the
// kernel's own verdict on a sample.
#include <linux/audit.h>
#include <linux/seccomp.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdio>
#include <random>
#include <string>

#include <gtest/gtest.h>

#include "tests/unit/policy/model/bpf_interpreter.h"
#include "tests/unit/policy/model/harmless_calls.h"
#include "tests/unit/policy/model/libseccomp_reference.h"
#include "tests/unit/policy/model/verdict_corpus.h"

namespace cloister::policy {
namespace {

using launcher::Confinement;
using Program = std::vector<sock_filter>;

struct Compared {
  std::size_t calls = 0;
  std::size_t differences = 0;
};

void compare(const Program& ours, const Program& reference, const seccomp_data& call, Compared& compared) {
  ++compared.calls;
  const std::uint32_t verdict = interpret(ours, call).action;
  const std::uint32_t expected = interpret(reference, call).action;
  if (verdict == expected) return;
  if (++compared.differences > 20) return;  // enough to find the cause
  ADD_FAILURE() << std::hex << "architecture " << call.arch << ", number " << call.nr << ", arguments " << call.args[0]
                << ' ' << call.args[1] << ' ' << call.args[2] << ": ours " << verdict << ", libseccomp's " << expected;
}

Compared compareEverywhere(const SeccompProfile& profile) {
  Compared compared;
  const auto ours = compile(profile);
  const auto reference = compileWithLibseccomp(profile);
  EXPECT_TRUE(ours.ok() && reference.ok()) << (ours.ok() ? reference.error() : ours.error()).message();
  if (!ours || !reference) return compared;
  for (const std::uint32_t number : corpusNumbers()) {
    forEachArguments(profile, number, [&](const auto& arguments) {
      seccomp_data call{};
      call.nr = static_cast<int>(number);
      call.arch = AUDIT_ARCH_X86_64;
      std::copy(arguments.begin(), arguments.end(), call.args);
      compare(*ours, *reference, call, compared);
    });
    for (const std::uint32_t architecture : corpusArchitectures()) {
      const seccomp_data call{static_cast<int>(number), architecture, 0, {}};
      compare(*ours, *reference, call, compared);
    }
  }
  return compared;
}

class EveryProfile : public testing::TestWithParam<const SeccompProfile*> {};

TEST_P(EveryProfile, hasLibseccompsVerdictForEveryCall) {
  const SeccompProfile& profile = *GetParam();
  const Compared compared = compareEverywhere(profile);
  EXPECT_EQ(compared.differences, 0U);
  EXPECT_GT(compared.calls, 100'000U);
  std::printf("%zu calls compared, %zu instructions of ours, %zu of libseccomp's\n", compared.calls,
              compile(profile)->size(), compileWithLibseccomp(profile)->size());
}

// The comparison sees a difference where there is one.
TEST_P(EveryProfile, differsAfterOneRuleHasGone) {
  const auto& profile = *GetParam();
  const auto reference = compileWithLibseccomp(profile);
  std::vector<SyscallRule> rules(profile.rules.begin(), profile.rules.end());
  const auto read = std::find_if(rules.begin(), rules.end(), [](const auto& rule) { return rule.call == "read"; });
  ASSERT_NE(read, rules.end());
  rules.erase(read);
  const auto ours = compile({"less", rules});
  ASSERT_TRUE(ours.ok() && reference.ok());
  const seccomp_data call{SYS_read, AUDIT_ARCH_X86_64, 0, {}};
  EXPECT_NE(interpret(*ours, call).action, interpret(*reference, call).action);
}

// Profiles that no file holds: overlapping masks, several arguments, every kind of rule for one call.
TEST(VerdictEquality, holdsForGeneratedProfiles) {
  constexpr std::array<std::uint32_t, 6> kMasks = {0xffffffffU, 0xfU, 0xf0U, 0xffU, 0x10U, 0x80000001U};
  std::mt19937 random(20240607);
  const auto below = [&](unsigned long limit) { return static_cast<std::uint32_t>(random() % limit); };
  for (int round = 0; round < 100; ++round) {
    std::vector<std::vector<ArgumentTest>> tests(24);
    std::vector<SyscallRule> rules = {{"exit_group", SYS_exit_group, 0, {}, "always"}};
    for (auto& own : tests) {
      const unsigned arguments = below(3);
      for (unsigned argument = 0; argument < arguments; ++argument) {
        const std::uint32_t mask = kMasks.at(below(kMasks.size()));
        own.push_back({argument, mask, below(3) * 0x11U & mask});
      }
      const bool deny = below(2) == 0;
      const unsigned number = 10 + below(4);
      // An unconditional rule contradicts another of the other kind; keep the first.
      const bool taken = std::any_of(rules.begin(), rules.end(), [&](const auto& rule) {
        return own.empty() && rule.number == number && rule.tests.empty();
      });
      if (!taken) rules.push_back({"generated", number, deny ? (own.empty() ? EACCES : EPERM) : 0, own, "generated"});
    }
    // libseccomp refuses a rule that it has already; such a profile shows nothing here.
    const SeccompProfile profile{"generated", rules};
    if (!compileWithLibseccomp(profile)) continue;
    EXPECT_EQ(compareEverywhere(profile).differences, 0U) << "round " << round;
  }
}

TEST_P(EveryProfile, hasTheKernelsVerdictToo) {
  const auto& profile = *GetParam();
  const auto ours = compile(profile);
  const auto reference = compileWithLibseccomp(profile);
  ASSERT_TRUE(ours.ok() && reference.ok());
  std::vector<HarmlessCall> calls;
  std::size_t met = 0;
  for (std::uint32_t number = 0; number <= 600; ++number) {
    if (passesEveryFilter(number)) continue;
    forEachArguments(profile, number, [&](const auto& arguments) {
      // Of the many that calls with several tested arguments have, one in 997.
      if (met++ % 997 != 0 && (arguments[1] != 0 || arguments[2] != 0)) return;
      HarmlessCall one;
      one.call = {static_cast<int>(number), AUDIT_ARCH_X86_64, 0, {}};
      std::copy(arguments.begin(), arguments.end(), one.call.args);
      calls.push_back(one);
    });
  }
  callAllHarmlessly(*ours, calls);
  for (const auto& [call, answered] : calls) {
    const std::uint32_t verdict = interpret(*reference, call).action;
    const int expected = verdict == SECCOMP_RET_ALLOW ? kWouldPass : static_cast<int>(verdict & SECCOMP_RET_DATA);
    ASSERT_EQ(answered, expected) << "number " << call.nr << ", arguments " << std::hex << call.args[0] << ' '
                                  << call.args[1] << ' ' << call.args[2];
  }
  EXPECT_GT(calls.size(), 1'000U);
}

const std::array kProfiles = {&profileFor(Confinement::app),     &profileFor(Confinement::build),
                              &profileFor(Confinement::exec),    &profileFor(Confinement::freeze),
                              &profileFor(OwnProcess::launcher), &profileFor(OwnProcess::node),
                              &profileFor(OwnProcess::daemon)};

INSTANTIATE_TEST_SUITE_P(Seccomp, EveryProfile, testing::ValuesIn(kProfiles),
                         [](const auto& instance) { return std::string(instance.param->name); });

}  // namespace
}  // namespace cloister::policy
