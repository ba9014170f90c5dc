#include <cstdlib>
#include <string_view>
#include <vector>

#include "policy/parse/profile_file.h"
#include "tests/fuzz/targets.h"

namespace cloister::fuzz {
namespace {

constexpr std::size_t kMostText = 64UL * 1024;

std::size_t compiled(const policy::ProfileFile& file) {
  std::vector<policy::SyscallRule> rules;
  for (const auto& rule : file.rules)
    rules.push_back({rule.call, rule.number, rule.denyErrno, rule.tests, rule.reason});
  const auto program = policy::compile({file.name, rules});
  if (!program) return 0;
  // Never an empty program, never one that runs off its end.
  if (program->empty() || program->size() > BPF_MAXINSNS || BPF_CLASS(program->back().code) != BPF_RET) std::abort();
  return program->size();
}

}  // namespace

int profile(const std::uint8_t* data, std::size_t size) {
  if (size > kMostText) return 0;
  const auto file = policy::parseProfile({reinterpret_cast<const char*>(data), size}, "fuzz.toml");
  if (!file) return 0;
  for (const auto& rule : file->rules) {
    if (rule.reason.empty() || rule.call.empty()) std::abort();
  }
  // A profile over itself is itself.
  if (compiled(*file) != compiled(policy::inheritProfile(*file, *file))) std::abort();
  return 0;
}

}  // namespace cloister::fuzz
