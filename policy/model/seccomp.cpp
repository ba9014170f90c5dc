#include "policy/model/seccomp.h"

#include <seccomp.h>

#include <cerrno>
#include <cstring>
#include <map>
#include <memory>
#include <set>
#include <string>

#include "sandbox/base/memory_file.h"

namespace cloister::policy {
namespace {

#include "policy/profiles.inc"  // generated: namespace profiles { app, build, exec, freeze, launcher, node, daemon }

constexpr std::string_view kStage = "seccomp";
constexpr unsigned kArguments = 6;
// What a stage returns for "the next stage decides"; no rule can have it as its action.
constexpr std::uint32_t kContinue = SCMP_ACT_TRACE(1);

// libseccomp knows no order among the rules of one call and no "otherwise", so a profile becomes three filters, and the
// default of each but the last jumps into the next.
enum class Stage { conditionalDeny, allow, deny };

Stage stageOf(const SyscallRule& rule) {
  if (rule.denyErrno == 0) return Stage::allow;
  return rule.tests.empty() ? Stage::deny : Stage::conditionalDeny;
}

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
  const int number =
      call.find('\0') == std::string::npos ? seccomp_syscall_resolve_name(call.c_str()) : __NR_SCMP_ERROR;
  // Negative numbers, too, are what only other architectures have.
  if (number < 0) return Error{std::string(kStage), "resolve", call, ENOSYS};
  // The last stage's default says it already, and libseccomp refuses to hear it twice.
  if (stageOf(rule) == Stage::deny && rule.denyErrno == ENOSYS) return {};
  std::vector<scmp_arg_cmp> comparisons;
  for (const auto& test : rule.tests) {
    comparisons.push_back({test.argument, SCMP_CMP_MASKED_EQ, test.mask, test.value});
  }
  const std::uint32_t action =
      rule.denyErrno == 0 ? SCMP_ACT_ALLOW : SCMP_ACT_ERRNO(static_cast<unsigned>(rule.denyErrno));
  return checked(seccomp_rule_add_array(context.get(), action, number, static_cast<unsigned>(comparisons.size()),
                                        comparisons.data()),
                 "add rule", call);
}

Error invalid(std::string_view operation, std::string_view path) {
  return Error{std::string(kStage), std::string(operation), std::string(path), EINVAL};
}

Status check(const SeccompProfile& profile) {
  if (allowedCount(profile) == 0) return invalid("empty profile", profile.name);
  std::map<std::string_view, int> unconditional;
  for (const auto& rule : profile.rules) {
    std::set<unsigned> arguments;
    for (const auto& test : rule.tests) {
      if (test.argument >= kArguments || !arguments.insert(test.argument).second) return invalid("argument", rule.call);
      if (test.mask == 0 || (test.value & ~test.mask) != 0)
        return invalid("test that never or always holds", rule.call);
    }
    if (!rule.tests.empty()) continue;
    const auto [known, added] = unconditional.emplace(rule.call, rule.denyErrno);
    if (!added && known->second != rule.denyErrno) return invalid("contradiction", rule.call);
  }
  return {};
}

Result<std::vector<sock_filter>> exportProgram(const Context& context) {
  auto file = memory_file::make("seccomp");
  if (!file) return file.error();
  if (auto done = checked(seccomp_export_bpf(context.get(), file->get()), "export"); !done) return done.error();
  auto bytes = memory_file::contents(file->get());
  if (!bytes) return bytes.error();
  if (bytes->empty() || bytes->size() % sizeof(sock_filter) != 0) {
    return Error{std::string(kStage), "export", "program", EPROTO};
  }
  std::vector<sock_filter> program(bytes->size() / sizeof(sock_filter));
  std::memcpy(program.data(), bytes->data(), bytes->size());
  return program;
}

Result<std::vector<sock_filter>> compileStage(const SeccompProfile& profile, Stage stage) {
  const Context context(seccomp_init(stage == Stage::deny ? SCMP_ACT_ERRNO(ENOSYS) : kContinue));
  if (!context) return Error{std::string(kStage), "init", std::string(profile.name), ENOMEM};
  if (auto done =
          checked(seccomp_attr_set(context.get(), SCMP_FLTATR_ACT_BADARCH, SCMP_ACT_KILL_PROCESS), "bad architecture");
      !done) {
    return done.error();
  }
  // A binary tree: 8 comparisons to the rule instead of some 200.
  if (auto done = checked(seccomp_attr_set(context.get(), SCMP_FLTATR_CTL_OPTIMIZE, 2), "optimise"); !done)
    return done.error();
  for (const auto& rule : profile.rules) {
    if (stageOf(rule) != stage) continue;
    if (auto done = addRule(context, rule); !done) return done.error();
  }
  return exportProgram(context);
}

// Turns every "continue" into a jump behind the program's end. No instruction is added, so other offsets stay true.
void chain(std::vector<sock_filter>& program) {
  for (std::size_t i = 0; i < program.size(); ++i) {
    if (program[i].code == (BPF_RET | BPF_K) && program[i].k == kContinue) {
      program[i] = sock_filter{BPF_JMP | BPF_JA, 0, 0, static_cast<std::uint32_t>(program.size() - i - 1)};
    }
  }
}

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

Result<std::vector<sock_filter>> compile(const SeccompProfile& profile) {
  if (seccomp_arch_native() != SCMP_ARCH_X86_64) return Error{std::string(kStage), "architecture", "", ENOTSUP};
  if (auto good = check(profile); !good) return good.error();
  std::vector<sock_filter> whole;
  for (const Stage stage : {Stage::conditionalDeny, Stage::allow, Stage::deny}) {
    auto program = compileStage(profile, stage);
    if (!program) return program.error();
    if (stage != Stage::deny) chain(*program);
    whole.insert(whole.end(), program->begin(), program->end());
  }
  if (whole.size() > BPF_MAXINSNS) return Error{std::string(kStage), "program", std::string(profile.name), E2BIG};
  return whole;
}

std::size_t allowedCount(const SeccompProfile& profile) {
  std::set<std::string_view> calls;
  for (const auto& rule : profile.rules) {
    if (rule.denyErrno == 0) calls.insert(rule.call);
  }
  return calls.size();
}

}  // namespace cloister::policy
