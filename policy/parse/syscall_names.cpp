#include "policy/parse/syscall_names.h"

#include <seccomp.h>

#include <cstdlib>
#include <memory>

namespace cloister::policy {
namespace {

struct Free {
  void operator()(char* text) const { std::free(text); }
};

}  // namespace

std::optional<unsigned> syscallNumber(std::string_view name) {
  if (name.find('\0') != std::string_view::npos) return std::nullopt;
  // Calls that only other architectures have get negative numbers.
  const int number = seccomp_syscall_resolve_name_arch(SCMP_ARCH_X86_64, std::string(name).c_str());
  if (number < 0) return std::nullopt;
  return static_cast<unsigned>(number);
}

std::optional<std::string> syscallName(unsigned number) {
  const std::unique_ptr<char, Free> name(seccomp_syscall_resolve_num_arch(SCMP_ARCH_X86_64, static_cast<int>(number)));
  if (!name) return std::nullopt;
  return std::string(name.get());
}

}  // namespace cloister::policy
