#include "policy/parse/syscall_names.h"

#include <seccomp.h>

#include <array>
#include <cstdlib>
#include <memory>

namespace cloister::policy {
namespace {

struct Free {
  void operator()(char* text) const { std::free(text); }
};

struct Name {
  std::string_view name;
  unsigned number;
};
// Those that are younger than the libseccomp of the distributions.
constexpr std::array kNewer = {
    Name{"fchmodat2", 452},
    Name{"statmount", 457},
    Name{"listmount", 458},
    Name{"lsm_get_self_attr", 459},
    Name{"lsm_set_self_attr", 460},
    Name{"lsm_list_modules", 461},
    Name{"mseal", 462},
    Name{"setxattrat", 463},
    Name{"getxattrat", 464},
    Name{"listxattrat", 465},
    Name{"removexattrat", 466},
    Name{"open_tree_attr", 467},
    Name{"file_getattr", 468},
    Name{"file_setattr", 469},
};

}  // namespace

std::optional<unsigned> syscallNumber(std::string_view name) {
  if (name.find('\0') != std::string_view::npos) return std::nullopt;
  for (const auto& newer : kNewer) {
    if (newer.name == name) return newer.number;
  }
  // Calls that only other architectures have get negative numbers.
  const int number = seccomp_syscall_resolve_name_arch(SCMP_ARCH_X86_64, std::string(name).c_str());
  if (number < 0) return std::nullopt;
  return static_cast<unsigned>(number);
}

std::optional<std::string> syscallName(unsigned number) {
  for (const auto& newer : kNewer) {
    if (newer.number == number) return std::string(newer.name);
  }
  const std::unique_ptr<char, Free> name(seccomp_syscall_resolve_num_arch(SCMP_ARCH_X86_64, static_cast<int>(number)));
  if (!name) return std::nullopt;
  return std::string(name.get());
}

}  // namespace cloister::policy
