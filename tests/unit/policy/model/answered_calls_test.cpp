#include "policy/model/answered_calls.h"

#include <gtest/gtest.h>
#include <linux/audit.h>
#include <linux/seccomp.h>
#include <sys/syscall.h>

#include <array>

#include "policy/model/call_profile.h"
#include "policy/model/seccomp.h"
#include "sandbox/base/live_views.h"
#include "tests/unit/policy/model/bpf_interpreter.h"

namespace cloister::policy {
namespace {

constexpr int kX32 = 0x40000000;

seccomp_data call(std::uint32_t arch, int number, std::uint64_t second = 128) {
  seccomp_data data{};
  data.args[1] = second;
  data.arch = arch;
  data.nr = number;
  return data;
}

bool isAnswered(int number) {
  return number == SYS_sysinfo || number == SYS_sched_getaffinity || number == SYS_sched_setaffinity;
}

TEST(AnsweredCalls, onlyThoseOfTheOwnAbiGoToTheListener) {
  for (const auto confinement : {launcher::Confinement::app, launcher::Confinement::build, launcher::Confinement::exec,
                                 launcher::Confinement::freeze}) {
    const auto filter = compile(profileFor(confinement));
    ASSERT_TRUE(filter);
    const auto whole = withAnsweredCalls(*filter);
    for (const auto arch : std::to_array<std::uint32_t>({AUDIT_ARCH_X86_64, AUDIT_ARCH_I386, AUDIT_ARCH_AARCH64})) {
      for (int number = 0; number < 600; ++number) {
        for (const int abi : {0, kX32}) {
          const auto data = call(arch, number | abi);
          const bool answered = arch == AUDIT_ARCH_X86_64 && abi == 0 && isAnswered(number);
          const auto expected = answered ? SECCOMP_RET_USER_NOTIF : interpret(*filter, data).action;
          ASSERT_EQ(interpret(whole, data).action, expected) << arch << " " << (number | abi);
        }
      }
    }
  }
}

// The listener's own questions about processors must reach the kernel: it would wait for itself.
TEST(AnsweredCalls, masksOfTheListenersLengthGoToTheKernel) {
  const auto filter = compile(profileFor(launcher::Confinement::app));
  ASSERT_TRUE(filter);
  const auto narrowing = narrowingFilter(CallSet());
  ASSERT_TRUE(narrowing);
  for (const auto& whole : {withAnsweredCalls(*filter), *narrowing}) {
    for (const int number : {SYS_sched_getaffinity, SYS_sched_setaffinity}) {
      EXPECT_EQ(interpret(whole, call(AUDIT_ARCH_X86_64, number, kKernelMaskBytes)).action, SECCOMP_RET_ALLOW);
      for (const std::uint64_t length : {0U, 8U, 128U, 1024U, 8192U, kKernelMaskBytes + 8U}) {
        EXPECT_EQ(interpret(whole, call(AUDIT_ARCH_X86_64, number, length)).action, SECCOMP_RET_USER_NOTIF) << length;
      }
    }
    EXPECT_EQ(interpret(whole, call(AUDIT_ARCH_X86_64, SYS_sysinfo, kKernelMaskBytes)).action, SECCOMP_RET_USER_NOTIF);
  }
}

}  // namespace
}  // namespace cloister::policy
