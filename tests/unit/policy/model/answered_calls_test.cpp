#include "policy/model/answered_calls.h"

#include <gtest/gtest.h>
#include <linux/audit.h>
#include <linux/seccomp.h>
#include <sys/syscall.h>

#include <array>

#include "policy/model/seccomp.h"
#include "tests/unit/policy/model/bpf_interpreter.h"

namespace cloister::policy {
namespace {

constexpr int kX32 = 0x40000000;

seccomp_data call(std::uint32_t arch, int number) {
  seccomp_data data{};
  data.arch = arch;
  data.nr = number;
  return data;
}

TEST(AnsweredCalls, onlySysinfoOfTheOwnAbiGoesToTheListener) {
  for (const auto confinement : {launcher::Confinement::app, launcher::Confinement::build, launcher::Confinement::exec,
                                 launcher::Confinement::freeze}) {
    const auto filter = compile(profileFor(confinement));
    ASSERT_TRUE(filter);
    const auto whole = withAnsweredCalls(*filter);
    for (const auto arch : std::to_array<std::uint32_t>({AUDIT_ARCH_X86_64, AUDIT_ARCH_I386, AUDIT_ARCH_AARCH64})) {
      for (int number = 0; number < 600; ++number) {
        for (const int abi : {0, kX32}) {
          const auto data = call(arch, number | abi);
          const bool answered = arch == AUDIT_ARCH_X86_64 && abi == 0 && number == SYS_sysinfo;
          const auto expected = answered ? SECCOMP_RET_USER_NOTIF : interpret(*filter, data).action;
          ASSERT_EQ(interpret(whole, data).action, expected) << arch << " " << (number | abi);
        }
      }
    }
  }
}

}  // namespace
}  // namespace cloister::policy
