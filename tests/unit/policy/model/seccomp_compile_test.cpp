// Profiles as data: budgets, and what compile() refuses to turn into a filter.
#include <array>
#include <cerrno>
#include <set>
#include <string>

#include <gtest/gtest.h>

#include "tests/unit/policy/model/filtered_process.h"

namespace cloister::policy {
namespace {

using launcher::Confinement;

constexpr std::array kClasses = {Confinement::app, Confinement::build, Confinement::exec, Confinement::freeze};

TEST(SeccompProfile, anAppReachesAtMostTwoHundredCalls) {
  EXPECT_LE(allowedCount(profileFor(Confinement::app)), 200U);
  EXPECT_EQ(allowedCount(profileFor(Confinement::exec)), allowedCount(profileFor(Confinement::app)));
  EXPECT_GE(allowedCount(profileFor(Confinement::app)), 150U) << "a list this short cannot run a web app";
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

constexpr std::array<ArgumentTest, 1> kSeventhArgument = {ArgumentTest{6, 0xff, 1}};
constexpr std::array<ArgumentTest, 1> kNoMask = {ArgumentTest{0, 0, 0}};
constexpr std::array<ArgumentTest, 1> kValueOutsideMask = {ArgumentTest{0, 0xf, 0x10}};
constexpr std::array<ArgumentTest, 2> kArgumentTwice = {ArgumentTest{0, 1, 1}, ArgumentTest{0, 2, 2}};
constexpr std::array<ArgumentTest, 1> kOne = {ArgumentTest{0, 0xffffffff, 1}};

struct Refused {
  const char* name;
  std::vector<SyscallRule> rules;
};

TEST(SeccompCompile, refusesWhatCouldMeanAnythingElse) {
  const std::array cases = {
      Refused{"no rule", {}},
      Refused{"nothing allowed", {{"mount", EPERM, {}, "r"}}},
      Refused{"unknown call", {{"no_such_call", 0, {}, "r"}}},
      Refused{"empty name", {{"", 0, {}, "r"}}},
      Refused{"a name with a zero byte", {{std::string_view("read\0x", 6), 0, {}, "r"}}},
      Refused{"a call of another architecture", {{"socketcall", 0, {}, "r"}}},
      Refused{"allowed and denied", {{"read", 0, {}, "r"}, {"read", EPERM, {}, "r"}}},
      Refused{"denied twice, differently",
              {{"write", 0, {}, "r"}, {"read", ENOSYS, {}, "r"}, {"read", EPERM, {}, "r"}}},
      Refused{"argument out of range", {{"read", 0, kSeventhArgument, "r"}}},
      Refused{"a test of no bit", {{"read", 0, kNoMask, "r"}}},
      Refused{"a test that never holds", {{"read", 0, kValueOutsideMask, "r"}}},
      Refused{"an argument twice", {{"read", 0, kArgumentTwice, "r"}}},
  };
  for (const auto& one : cases) {
    const auto filter = compile({"test", one.rules});
    ASSERT_FALSE(filter.ok()) << one.name;
    EXPECT_EQ(filter.error().stage, "seccomp") << one.name;
    EXPECT_NE(filter.error().code, 0) << one.name;
  }
}

TEST(SeccompCompile, denialWithTestsThenAllowedThenDenialWithout) {
  constexpr std::array<ArgumentTest, 1> two = {ArgumentTest{0, 0xffffffff, 2}};
  const std::vector<SyscallRule> rules = {
      {"exit_group", 0, {}, "to end"},           {"getpgid", EPERM, kOne, "one is denied"},
      {"getpgid", 0, two, "two is allowed"},     {"getpgid", EACCES, {}, "all others"},
      {"getsid", ENOSYS, kOne, "one is denied"}, {"getsid", 0, {}, "all others allowed"},
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

}  // namespace
}  // namespace cloister::policy
