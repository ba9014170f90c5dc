#include "tests/unit/policy/model/libseccomp_reference.h"

#include <seccomp.h>

#include <array>
#include <cerrno>
#include <cstdio>
#include <memory>
#include <string>

namespace cloister::policy {
namespace {

constexpr std::string_view kStage = "libseccomp";
// What a stage returns for "the next stage decides"; no rule can have it as its action.
constexpr std::uint32_t kContinue = SCMP_ACT_TRACE(1);

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
  // The last stage's default says it already, and libseccomp refuses to hear it twice.
  if (stageOf(rule) == Stage::deny && rule.denyErrno == ENOSYS) return {};
  std::vector<scmp_arg_cmp> comparisons;
  for (const auto& test : rule.tests) {
    comparisons.push_back({test.argument, SCMP_CMP_MASKED_EQ, test.mask, test.value});
  }
  const std::uint32_t action =
      rule.denyErrno == 0 ? SCMP_ACT_ALLOW : SCMP_ACT_ERRNO(static_cast<unsigned>(rule.denyErrno));
  return checked(seccomp_rule_add_array(context.get(), action, static_cast<int>(rule.number),
                                        static_cast<unsigned>(comparisons.size()), comparisons.data()),
                 "add rule", rule.call);
}

struct Close {
  void operator()(std::FILE* file) const { (void)std::fclose(file); }
};

Result<std::vector<sock_filter>> exportProgram(const Context& context) {
  const std::unique_ptr<std::FILE, Close> file(std::tmpfile());
  if (!file) return errnoError(kStage, "tmpfile");
  if (auto done = checked(seccomp_export_bpf(context.get(), ::fileno(file.get())), "export"); !done)
    return done.error();
  std::rewind(file.get());
  std::array<sock_filter, BPF_MAXINSNS> program{};
  const std::size_t count = std::fread(program.data(), sizeof(sock_filter), program.size(), file.get());
  return std::vector<sock_filter>(program.begin(), program.begin() + static_cast<std::ptrdiff_t>(count));
}

Result<std::vector<sock_filter>> compileStage(const SeccompProfile& profile, Stage stage) {
  const Context context(seccomp_init(stage == Stage::deny ? SCMP_ACT_ERRNO(ENOSYS) : kContinue));
  if (!context) return Error{std::string(kStage), "init", std::string(profile.name), ENOMEM};
  if (auto done =
          checked(seccomp_attr_set(context.get(), SCMP_FLTATR_ACT_BADARCH, SCMP_ACT_KILL_PROCESS), "bad architecture");
      !done) {
    return done.error();
  }
  // A binary tree: its best shape for a list as long as this.
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

Result<std::vector<sock_filter>> compileWithLibseccomp(const SeccompProfile& profile) {
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

}  // namespace cloister::policy
