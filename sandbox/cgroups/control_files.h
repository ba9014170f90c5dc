// Control files of one group by its directory's descriptor, with errors that name the group.
//
// Threads: reentrant. Failures: Error{stage "cgroup", operation, path, errno}, path being "<group>/<file>".
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "sandbox/base/result.h"
#include "sandbox/base/unique_fd.h"

namespace cloister::cgroups {

// A group's open directory and its name below the root, which only errors show.
struct Place {
  int directory = -1;
  std::string name;
};

[[nodiscard]] Error failure(std::string_view operation, std::string_view path, int code);

[[nodiscard]] Result<UniqueFd> openGroup(int parent, const std::string& component, const std::string& name);
[[nodiscard]] Result<std::string> readFile(const Place& place, std::string_view file);
[[nodiscard]] Status writeFile(const Place& place, std::string_view file, std::string_view text);
// Good without doing anything when the kernel does not have the file.
[[nodiscard]] Status writeIfPresent(const Place& place, std::string_view file, std::string_view text);

// A single number; "max" and negative numbers are kUnlimited.
inline constexpr std::uint64_t kUnlimited = ~std::uint64_t{0};
[[nodiscard]] Result<std::uint64_t> readNumber(const Place& place, std::string_view file);

[[nodiscard]] Result<std::vector<pid_t>> readProcesses(const Place& place);
// Names of the groups below, in no order.
[[nodiscard]] Result<std::vector<std::string>> childGroups(const Place& place);

// "populated 0" or "populated 1" of cgroup.events. Anything else is EPROTO.
[[nodiscard]] Result<bool> parsePopulated(std::string_view events);

}  // namespace cloister::cgroups
