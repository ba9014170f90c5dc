#include "sandbox/cgroups/layout.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <optional>

namespace cloister::cgroups {
namespace {

using launcher::DescriptorKind;

std::vector<std::string_view> split(std::string_view text, char separator) {
  std::vector<std::string_view> parts;
  while (!text.empty()) {
    const auto end = text.find(separator);
    if (end != 0) parts.push_back(text.substr(0, end));
    if (end == std::string_view::npos) break;
    text.remove_prefix(end + 1);
  }
  return parts;
}

// mountinfo writes space, tab, newline and backslash as \ooo.
std::string unescape(std::string_view text) {
  std::string path;
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] != '\\' || i + 3 >= text.size()) {
      path += text[i];
      continue;
    }
    unsigned value = 0;
    for (std::size_t digit = 1; digit <= 3; ++digit) value = value * 8 + static_cast<unsigned>(text[i + digit] - '0');
    path += static_cast<char>(value & 0xffU);
    i += 3;
  }
  return path;
}

std::optional<DescriptorKind> kindOf(std::string_view controller) {
  if (controller == "cpu") return DescriptorKind::cpu;
  if (controller == "cpuacct") return DescriptorKind::cpuacct;
  if (controller == "memory") return DescriptorKind::memory;
  if (controller == "blkio") return DescriptorKind::blkio;
  if (controller == "pids") return DescriptorKind::pids;
  return std::nullopt;
}

bool has(const std::vector<Mount>& mounts, DescriptorKind kind) {
  return std::any_of(mounts.begin(), mounts.end(), [kind](const Mount& mount) {
    return std::find(mount.kinds.begin(), mount.kinds.end(), kind) != mount.kinds.end();
  });
}

Error missing(const char* what) {
  return Error{"cgroup", "find the mounted hierarchy", what, ENOTSUP};
}

}  // namespace

Result<MountLayout> parseMountInfo(std::string_view mountinfo) {
  MountLayout found;
  std::string unified;
  for (const std::string_view line : split(mountinfo, '\n')) {
    const auto separator = line.find(" - ");
    if (separator == std::string_view::npos) continue;
    const auto before = split(line.substr(0, separator), ' ');
    const auto after = split(line.substr(separator + 3), ' ');
    if (before.size() < 5 || after.empty()) continue;
    const std::string path = unescape(before[4]);
    if (after[0] == "cgroup2") {
      if (unified.empty()) unified = path;
    } else if (after[0] == "cgroup" && after.size() >= 3) {
      Mount mount{path, {}};
      for (const std::string_view option : split(after[2], ',')) {
        const auto kind = kindOf(option);
        if (kind && !has(found.mounts, *kind)) mount.kinds.push_back(*kind);
      }
      if (!mount.kinds.empty()) found.mounts.push_back(std::move(mount));
    }
  }
  if (unified.empty()) return missing("cgroup2");
  if (!found.mounts.empty()) {
    found.layout = Layout::hybrid;
    if (!has(found.mounts, DescriptorKind::memory)) return missing("memory");
    if (!has(found.mounts, DescriptorKind::cpu)) return missing("cpu");
    if (!has(found.mounts, DescriptorKind::cpuacct)) return missing("cpuacct");
    if (!has(found.mounts, DescriptorKind::pids)) return missing("pids");
  }
  found.mounts.insert(found.mounts.begin(), Mount{unified, {DescriptorKind::unified}});
  return found;
}

int Directories::make(int parent, const char* name) {
  return ::mkdirat(parent, name, 0755);
}
int Directories::remove(int parent, const char* name) {
  return ::unlinkat(parent, name, AT_REMOVEDIR);
}

}  // namespace cloister::cgroups
