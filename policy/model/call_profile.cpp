#include "policy/model/call_profile.h"

#include <linux/audit.h>
#include <linux/seccomp.h>
#include <sys/syscall.h>

#include <array>
#include <cstddef>
#include <map>

#include "policy/model/filter_program.h"
#include "policy/model/seccomp.h"
#include "sandbox/base/live_views.h"

namespace cloister::policy {
namespace {

constexpr std::uint32_t kAllBits = 0xffffffffU;

CallSet allowedOf(const SeccompProfile& profile) {
  CallSet calls;
  for (const auto& rule : profile.rules) {
    if (rule.denyErrno == 0) calls.set(rule.number);
  }
  return calls;
}

const std::map<unsigned, std::string_view>& callNames() {
  static const auto names = [] {
    std::map<unsigned, std::string_view> all;
    for (const auto* profile : {&floorProfile(), &profileFor(launcher::Confinement::app),
                                &profileFor(launcher::Confinement::build), &profileFor(launcher::Confinement::exec)}) {
      for (const auto& rule : profile->rules) {
        if (rule.denyErrno == 0) all.emplace(rule.number, rule.call);
      }
    }
    return all;
  }();
  return names;
}

}  // namespace

const CallSet& floorCalls() {
  static const CallSet calls = allowedOf(floorProfile());
  return calls;
}

const CallSet& classCalls(launcher::Confinement confinement) {
  using launcher::Confinement;
  static const std::array known = {allowedOf(profileFor(Confinement::app)), allowedOf(profileFor(Confinement::build)),
                                   allowedOf(profileFor(Confinement::exec)),
                                   allowedOf(profileFor(Confinement::freeze))};
  return known.at(static_cast<std::size_t>(confinement));
}

std::string_view callName(unsigned number) {
  const auto found = callNames().find(number);
  return found == callNames().end() ? std::string_view() : found->second;
}

std::optional<unsigned> callNumber(std::string_view name) {
  for (const auto& [number, known] : callNames()) {
    if (known == name) return number;
  }
  return std::nullopt;
}

Result<std::vector<sock_filter>> narrowingFilter(const CallSet& calls) {
  CallSet open = calls | floorCalls();
  open.set(SYS_seccomp);
  open.reset(SYS_sysinfo);
  FilterProgram program;
  const auto pass = program.answer(SECCOMP_RET_ALLOW);
  const auto ask = program.answer(SECCOMP_RET_USER_NOTIF);
  const auto affinity =
      program.load(offsetof(seccomp_data, args[1]), kAllBits, program.whetherEqual(kKernelMaskBytes, pass, ask));
  std::vector<FilterProgram::Range> numbers;
  for (std::uint32_t number = 0; number < kMostCalls; ++number) {
    const bool answered = number == SYS_sched_getaffinity || number == SYS_sched_setaffinity;
    numbers.push_back({number, answered ? affinity : open.test(number) ? pass : ask});
  }
  numbers.push_back({static_cast<std::uint32_t>(kMostCalls), pass});
  const auto native = program.load(offsetof(seccomp_data, nr), kAllBits, program.search(numbers));
  return program.finish(
      program.load(offsetof(seccomp_data, arch), kAllBits, program.whetherEqual(AUDIT_ARCH_X86_64, native, pass)));
}

}  // namespace cloister::policy
