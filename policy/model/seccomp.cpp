#include "policy/model/seccomp.h"

#include <seccomp.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cerrno>
#include <memory>
#include <set>
#include <string>

#include "sandbox/base/unique_fd.h"

namespace cloister::policy {
namespace {

#include "policy/profiles.inc"  // generated: namespace profiles { app, build, exec, freeze }

constexpr std::string_view kStage = "seccomp";

struct Release {
  void operator()(void* context) const { seccomp_release(context); }
};
using Context = std::unique_ptr<void, Release>;

// libseccomp answers -errno.
Status checked(int answer, std::string_view operation, std::string_view call = {}) {
  if (answer == 0) return {};
  return Error{std::string(kStage), std::string(operation), std::string(call), -answer};
}

Status addRule(const Context& context, const SyscallRule& rule) {
  const std::string call(rule.call);
  const int number = seccomp_syscall_resolve_name(call.c_str());
  if (number == __NR_SCMP_ERROR) return Error{std::string(kStage), "resolve", call, ENOSYS};
  std::vector<scmp_arg_cmp> comparisons;
  for (const auto& test : rule.tests) {
    comparisons.push_back({test.argument, SCMP_CMP_MASKED_EQ, test.mask, test.value});
  }
  const std::uint32_t action = rule.denyErrno == 0 ? SCMP_ACT_ALLOW : SCMP_ACT_ERRNO(static_cast<unsigned>(rule.denyErrno));
  return checked(seccomp_rule_add_array(context.get(), action, number, static_cast<unsigned>(comparisons.size()),
                                        comparisons.data()),
                 "add rule", call);
}

Result<std::vector<sock_filter>> exportProgram(const Context& context) {
  const UniqueFd file(::memfd_create("seccomp", MFD_CLOEXEC));
  if (!file) return errnoError(kStage, "memfd_create");
  if (auto done = checked(seccomp_export_bpf(context.get(), file.get()), "export"); !done) return done.error();
  const off_t size = ::lseek(file.get(), 0, SEEK_END);
  if (size <= 0 || size % static_cast<off_t>(sizeof(sock_filter)) != 0) {
    return Error{std::string(kStage), "export", "program", EPROTO};
  }
  std::vector<sock_filter> program(static_cast<std::size_t>(size) / sizeof(sock_filter));
  if (::pread(file.get(), program.data(), static_cast<std::size_t>(size), 0) != size) return errnoError(kStage, "read", "program");
  return program;
}

}  // namespace

const SeccompProfile& profileFor(launcher::Confinement confinement) {
  switch (confinement) {
    case launcher::Confinement::app: return profiles::app;
    case launcher::Confinement::build: return profiles::build;
    case launcher::Confinement::exec: return profiles::exec;
    case launcher::Confinement::freeze: return profiles::freeze;
  }
  static constexpr SeccompProfile kNone{};
  return kNone;
}

Result<std::vector<sock_filter>> compile(const SeccompProfile& profile) {
  if (profile.rules.empty()) return Error{std::string(kStage), "compile", std::string(profile.name), EINVAL};
  const Context context(seccomp_init(SCMP_ACT_ERRNO(ENOSYS)));
  if (!context) return Error{std::string(kStage), "init", std::string(profile.name), ENOMEM};
  if (auto done = checked(seccomp_attr_set(context.get(), SCMP_FLTATR_ACT_BADARCH, SCMP_ACT_KILL_PROCESS), "bad architecture"); !done) {
    return done.error();
  }
  // A binary tree: 8 comparisons to the rule instead of some 200.
  if (auto done = checked(seccomp_attr_set(context.get(), SCMP_FLTATR_CTL_OPTIMIZE, 2), "optimise"); !done) return done.error();
  for (const auto& rule : profile.rules) {
    if (auto done = addRule(context, rule); !done) return done.error();
  }
  return exportProgram(context);
}

std::size_t allowedCount(const SeccompProfile& profile) {
  std::set<std::string_view> calls;
  for (const auto& rule : profile.rules) {
    if (rule.denyErrno == 0) calls.insert(rule.call);
  }
  return calls.size();
}

}  // namespace cloister::policy
