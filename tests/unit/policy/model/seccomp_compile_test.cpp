// Profiles as data: budgets, and what compile() refuses to turn into a filter.
#include <array>
#include <cerrno>
#include <set>
#include <string>

#include <gtest/gtest.h>

#include "policy/parse/syscall_names.h"
#include "tests/unit/policy/model/filtered_process.h"

namespace cloister::policy {
namespace {

using launcher::Confinement;

constexpr std::array kClasses = {Confinement::app, Confinement::build, Confinement::exec, Confinement::freeze};

TEST(SeccompProfile, anExecReachesWhatItsAppReaches) {
  EXPECT_EQ(allowedCount(profileFor(Confinement::exec)), allowedCount(profileFor(Confinement::app)));
}

TEST(SeccompProfile, everyRuleHasAReasonAndEveryCallOneMeaning) {
  for (const auto confinement : kClasses) {
    const auto& profile = profileFor(confinement);
    EXPECT_FALSE(profile.name.empty());
    for (const auto& rule : profile.rules) {
      EXPECT_GE(rule.reason.size(), 7U) << profile.name << ": " << rule.call;
      for (const auto& test : rule.tests) EXPECT_EQ(test.value & ~test.mask, 0U) << profile.name << ": " << rule.call;
    }
  }
}

TEST(SeccompProfile, theDangerousIsNamedNotForgotten) {
  for (const auto confinement : kClasses) {
    std::set<std::string_view> denied;
    for (const auto& rule : profileFor(confinement).rules) {
      if (rule.denyErrno != 0) denied.insert(rule.call);
    }
    for (const auto* call :
         {"mount", "unshare", "setns", "ptrace", "bpf", "keyctl", "io_uring_setup", "clone3", "open_by_handle_at",
          "userfaultfd", "perf_event_open", "kexec_load", "init_module", "process_vm_writev", "pidfd_getfd"}) {
      EXPECT_TRUE(denied.contains(call)) << profileFor(confinement).name << ": " << call;
    }
  }
}

TEST(SeccompCompile, fitsTheKernelAndEndsInAReturn) {
  for (const auto confinement : kClasses) {
    const auto filter = filterOf(confinement);
    ASSERT_FALSE(filter.empty());
    EXPECT_LE(filter.size(), static_cast<std::size_t>(BPF_MAXINSNS));
    EXPECT_EQ(BPF_CLASS(filter.back().code), BPF_RET);
  }
}

SyscallRule rule(std::string_view call, int denyErrno, std::span<const ArgumentTest> tests = {}) {
  return {call, syscallNumber(call).value_or(kMostCalls), denyErrno, tests, "of a test"};
}

constexpr std::array<ArgumentTest, 1> kSeventhArgument = {ArgumentTest{6, 0xff, 1}};
constexpr std::array<ArgumentTest, 1> kNoMask = {ArgumentTest{0, 0, 0}};
constexpr std::array<ArgumentTest, 1> kValueOutsideMask = {ArgumentTest{0, 0xf, 0x10}};
constexpr std::array<ArgumentTest, 2> kArgumentTwice = {ArgumentTest{0, 1, 1}, ArgumentTest{0, 2, 2}};
constexpr std::array<ArgumentTest, 1> kOne = {ArgumentTest{0, 0xffffffff, 1}};
constexpr std::array<ArgumentTest, 1> kTwo = {ArgumentTest{0, 0xffffffff, 2}};
constexpr std::array<ArgumentTest, 1> kOneOfTheSecond = {ArgumentTest{1, 0xffffffff, 1}};
constexpr std::array<ArgumentTest, 1> kLowBit = {ArgumentTest{0, 1, 1}};
constexpr std::array<ArgumentTest, 1> kNextBit = {ArgumentTest{0, 2, 2}};

struct Refused {
  const char* name;
  std::vector<SyscallRule> rules;
};

TEST(SeccompCompile, refusesWhatCouldMeanAnythingElse) {
  const std::array cases = {
      Refused{"no rule", {}},
      Refused{"nothing allowed", {rule("mount", EPERM)}},
      Refused{"a number that no call has", {rule("read", 0), {"beyond", kMostCalls, 0, {}, "r"}}},
      Refused{"x32's number", {rule("read", 0), {"x32", 0x40000000, 0, {}, "r"}}},
      Refused{"allowed and denied", {rule("read", 0), rule("read", EPERM)}},
      Refused{"denied twice, differently", {rule("write", 0), rule("read", ENOSYS), rule("read", EPERM)}},
      Refused{"denied with tests twice, differently",
              {rule("write", 0), rule("read", ENOSYS, kOne), rule("read", EPERM, kOne)}},
      Refused{"denied differently where both may hold",
              {rule("write", 0), rule("read", ENOSYS, kOne), rule("read", EPERM, kOneOfTheSecond)}},
      Refused{"denied differently under masks that share no bit",
              {rule("write", 0), rule("read", ENOSYS, kLowBit), rule("read", EPERM, kNextBit)}},
      Refused{"argument out of range", {rule("read", 0, kSeventhArgument)}},
      Refused{"a test of no bit", {rule("read", 0, kNoMask)}},
      Refused{"a test that never holds", {rule("read", 0, kValueOutsideMask)}},
      Refused{"an argument twice", {rule("read", 0, kArgumentTwice)}},
  };
  for (const auto& one : cases) {
    const auto filter = compile({"test", one.rules});
    ASSERT_FALSE(filter.ok()) << one.name;
    EXPECT_EQ(filter.error().stage, "seccomp") << one.name;
    EXPECT_NE(filter.error().code, 0) << one.name;
  }
}

// Six arguments of twenty values each, in every combination: a program that the kernel would not take.
TEST(SeccompCompile, refusesRulesThatMultiplyBeyondAProgram) {
  std::vector<std::vector<ArgumentTest>> tests;
  for (std::uint32_t i = 0; i < 400; ++i) {
    auto& own = tests.emplace_back();
    for (unsigned argument = 0; argument < 6; ++argument)
      own.push_back({argument, 0xffffffffU, (i * 7 + argument * i) % 20});
  }
  std::vector<SyscallRule> rules;
  for (const auto& own : tests) rules.push_back(rule("socket", 0, own));
  const auto filter = compile({"test", rules});
  if (filter.ok()) {
    EXPECT_LE(filter->size(), static_cast<std::size_t>(BPF_MAXINSNS));
  } else {
    EXPECT_EQ(filter.error().code, E2BIG);
  }
}

TEST(SeccompCompile, denialWithTestsThenAllowedThenDenialWithout) {
  const std::vector<SyscallRule> rules = {
      rule("exit_group", 0),   rule("getpgid", EPERM, kOne), rule("getpgid", 0, kTwo),
      rule("getpgid", EACCES), rule("getsid", ENOSYS, kOne), rule("getsid", 0),
  };
  const auto filter = compile({"test", rules});
  ASSERT_TRUE(filter.ok()) << filter.error().message();
  const auto code = [&](long call, unsigned long argument) {
    return runFiltered(*filter, [&] { return errnoOf(call, argument); }).code;
  };
  EXPECT_EQ(code(SYS_getpgid, 1), EPERM);
  EXPECT_EQ(code(SYS_getpgid, 0xffffffff00000001UL), EPERM);
  EXPECT_TRUE(code(SYS_getpgid, 2) == 0 || code(SYS_getpgid, 2) == ESRCH);
  EXPECT_EQ(code(SYS_getpgid, 3), EACCES);
  EXPECT_EQ(code(SYS_getsid, 1), ENOSYS);
  EXPECT_EQ(code(SYS_getsid, 0), 0);
  EXPECT_EQ(code(SYS_getppid, 0), ENOSYS);
}

TEST(SeccompCompile, denialsThatNeverMeetMayAnswerDifferently) {
  const std::vector<SyscallRule> rules = {rule("exit_group", 0), rule("getpgid", EPERM, kOne),
                                          rule("getpgid", ENOTTY, kTwo), rule("getpgid", EACCES)};
  const auto filter = compile({"test", rules});
  ASSERT_TRUE(filter.ok()) << filter.error().message();
  const auto code = [&](unsigned long argument) {
    return runFiltered(*filter, [&] { return errnoOf(SYS_getpgid, argument); }).code;
  };
  EXPECT_EQ(code(1), EPERM);
  EXPECT_EQ(code(0xffffffff00000002UL), ENOTTY);
  EXPECT_EQ(code(3), EACCES);
}

TEST(SeccompCompile, successWithoutTheKernelIsAnAnswerToo) {
  const std::vector<SyscallRule> rules = {rule("exit_group", 0), rule("setsid", kAnswersZero, kOne),
                                          rule("setsid", EPERM), rule("chdir", kAnswersZero)};
  const auto filter = compile({"test", rules});
  ASSERT_TRUE(filter.ok()) << filter.error().message();
  EXPECT_EQ(allowedCount({"test", rules}), 1U);
  EXPECT_EQ(runFiltered(*filter, [] { return errnoOf(SYS_setsid, 1); }).code, 0);
  EXPECT_EQ(runFiltered(*filter, [] { return errnoOf(SYS_setsid, 2); }).code, EPERM);
  EXPECT_EQ(runFiltered(*filter, [] { return errnoOf(SYS_chdir, 0); }).code, 0) << "the kernel would have said EFAULT";
}

}  // namespace
}  // namespace cloister::policy
