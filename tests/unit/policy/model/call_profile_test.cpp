#include "policy/model/call_profile.h"

#include <gtest/gtest.h>
#include <linux/audit.h>
#include <linux/seccomp.h>
#include <sys/syscall.h>

#include <array>

#include "policy/model/seccomp.h"
#include "tests/unit/policy/model/bpf_interpreter.h"

namespace cloister::policy {
namespace {

using launcher::Confinement;

constexpr unsigned kX32 = 0x40000000;

seccomp_data call(std::uint32_t arch, unsigned number) {
  seccomp_data data{};
  data.arch = arch;
  data.nr = static_cast<int>(number);
  return data;
}

std::vector<CallSet> someLists() {
  CallSet every;
  every.set();
  CallSet sparse;
  for (unsigned number = 0; number < kMostCalls; number += 3) sparse.set(number);
  return {CallSet(), every, sparse, callSet({SYS_mkdir, SYS_socket, kMostCalls - 1})};
}

// As the kernel orders them: the smaller action is the stricter one.
std::uint32_t stricter(std::uint32_t one, std::uint32_t other) {
  const auto order = [](std::uint32_t action) { return static_cast<std::int32_t>(action & SECCOMP_RET_ACTION_FULL); };
  return order(one) <= order(other) ? one : other;
}

TEST(CallProfile, asksForWhatTheListLacksAndOnlyForThat) {
  for (const auto& list : someLists()) {
    const auto filter = narrowingFilter(list);
    ASSERT_TRUE(filter);
    for (const auto arch : std::to_array<std::uint32_t>({AUDIT_ARCH_X86_64, AUDIT_ARCH_I386, AUDIT_ARCH_AARCH64})) {
      for (unsigned number = 0; number < kMostCalls + 100; ++number) {
        for (const unsigned abi : {0U, kX32}) {
          const bool ours = arch == AUDIT_ARCH_X86_64 && abi == 0 && number < kMostCalls;
          const bool listed = ours && (list.test(number) || floorCalls().test(number) || number == SYS_seccomp);
          const bool answered =
              number == SYS_sysinfo || number == SYS_sched_getaffinity || number == SYS_sched_setaffinity;
          const bool asks = ours && (answered || !listed);
          const auto verdict = interpret(*filter, call(arch, number | abi)).action;
          ASSERT_EQ(verdict, asks ? SECCOMP_RET_USER_NOTIF : SECCOMP_RET_ALLOW) << arch << " " << (number | abi);
        }
      }
    }
  }
}

TEST(CallProfile, noListOpensWhatTheClassCloses) {
  for (const auto confinement : {Confinement::app, Confinement::build}) {
    const auto alone = compile(profileFor(confinement));
    ASSERT_TRUE(alone);
    for (const auto& list : someLists()) {
      const auto narrowing = narrowingFilter(list);
      ASSERT_TRUE(narrowing);
      for (unsigned number = 0; number < kMostCalls + 100; ++number) {
        const auto data = call(AUDIT_ARCH_X86_64, number);
        const auto ofClass = interpret(*alone, data).action;
        const auto both = stricter(ofClass, interpret(*narrowing, data).action);
        if (ofClass == SECCOMP_RET_ALLOW) continue;
        ASSERT_EQ(both, ofClass) << number << ": nobody is asked, nothing goes on";
      }
    }
  }
}

TEST(CallProfile, theFloorLiesWithinBothClasses) {
  for (const auto confinement : {Confinement::app, Confinement::build}) {
    const CallSet beyond = floorCalls() & ~classCalls(confinement);
    EXPECT_TRUE(beyond.none()) << callName(numbersOf(beyond).empty() ? 0 : numbersOf(beyond).front());
  }
  EXPECT_LT(floorCalls().count(), 80U) << "a floor this high narrows nothing";
  EXPECT_EQ(classCalls(Confinement::app).count(), allowedCount(profileFor(Confinement::app)));
}

TEST(CallProfile, namesAndNumbersBelongToEachOther) {
  EXPECT_EQ(callName(SYS_mkdir), "mkdir");
  EXPECT_EQ(callNumber("mkdir"), static_cast<unsigned>(SYS_mkdir));
  EXPECT_EQ(callName(SYS_init_module), "") << "no class lets it through";
  EXPECT_EQ(callNumber("init_module"), std::nullopt);
  for (const auto number : numbersOf(classCalls(Confinement::app) | floorCalls())) {
    EXPECT_EQ(callNumber(callName(number)), number);
  }
}

TEST(CallSet, leavesOutWhatNoCallCanBe) {
  EXPECT_EQ(numbersOf(callSet({5, 1, kMostCalls, 0xffffffffU, kMostCalls - 1})),
            (std::vector<std::uint32_t>{1, 5, kMostCalls - 1}));
}

}  // namespace
}  // namespace cloister::policy
