// Seccomp profiles as values, and their compilation into one BPF program.
//
// A profile is an allow-list. For one call, a denial with tests is looked at first, then what is allowed, then a denial
// without tests ("otherwise"); what no rule names answers ENOSYS, as if the kernel did not have it. Foreign ABIs (i386,
// x32) kill the process. Arguments are compared on the low 32 bits under a mask, because the kernel ignores the high
// half of an int and a comparison on 64 bits is passed by setting it.
//
// The program: the architecture, then a binary search over ranges of numbers with one verdict (x32's numbers are one
// of them), then for calls with tests a search over each argument's values. What is allowed without a test is decided
// by comparisons of the number alone, which is what the kernel caches per call. Tests hold its verdicts against those
// of libseccomp's program for the same profile. Threads: immutable data, pure functions. Failures: Error{stage
// "seccomp", operation, call, errno}; an empty profile is one.
#pragma once

#include <linux/filter.h>

#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

#include "sandbox/base/call_set.h"
#include "sandbox/base/launcher_protocol.h"
#include "sandbox/base/result.h"

namespace cloister::policy {

// (argument & mask) == value
struct ArgumentTest {
  unsigned argument = 0;
  std::uint32_t mask = 0;
  std::uint32_t value = 0;
  bool operator==(const ArgumentTest&) const = default;
};

// As a rule's errno: the call answers success and the kernel is not asked. For what would change nothing, or cannot be
// done here and need not be.
inline constexpr int kAnswersZero = 1 << 16;

// One way in which a call is allowed (all of `tests` hold), or the errno that it answers. Several rules for one call:
// any; so of those that deny it with tests, two that could both hold name one errno.
struct SyscallRule {
  std::string_view call;  // its name, for people
  unsigned number = 0;
  int denyErrno = 0;  // 0: allow; kAnswersZero
  std::span<const ArgumentTest> tests;
  std::string_view reason;
};

struct SeccompProfile {
  std::string_view name;
  std::span<const SyscallRule> rules;
};

// The data of policy/profiles/<class>.toml, built in.
[[nodiscard]] const SeccompProfile& profileFor(launcher::Confinement confinement);
// What Cloister's own processes take from themselves at start. `launcher` lets through whatever a class allows, because
// containers are started under it.
enum class OwnProcess : std::uint8_t { launcher, node, daemon };
[[nodiscard]] const SeccompProfile& profileFor(OwnProcess process);
// What a container that is narrowed to its own calls always has (call_profile.h).
[[nodiscard]] const SeccompProfile& floorProfile();

// The kernel's own form. A number that no call can have, a test that never or always holds, or a call that is both
// allowed and denied without tests, or denied in two ways that could hold at once, is an error.
[[nodiscard]] Result<std::vector<sock_filter>> compile(const SeccompProfile& profile);

// Distinct system calls that the profile lets through, with or without a test.
[[nodiscard]] std::size_t allowedCount(const SeccompProfile& profile);

}  // namespace cloister::policy
