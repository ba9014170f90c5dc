// Names of x86_64's system calls, as libseccomp knows them. Never linked into the launcher, which knows numbers.
//
// Threads: pure functions. Failures: an empty answer.
#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace cloister::policy {

[[nodiscard]] std::optional<unsigned> syscallNumber(std::string_view name);
[[nodiscard]] std::optional<std::string> syscallName(unsigned number);

}  // namespace cloister::policy
