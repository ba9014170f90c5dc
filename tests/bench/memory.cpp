#include "tests/bench/memory.h"

#include <cstdlib>
#include <filesystem>
#include <fstream>

namespace cloister::bench {
namespace {

namespace fs = std::filesystem;

double numberAfter(const std::string& path, const std::string& key) {
  std::ifstream file(path);
  for (std::string line; std::getline(file, line);) {
    if (line.starts_with(key)) return std::strtod(line.c_str() + key.size(), nullptr);
  }
  return 0;
}

std::size_t entries(const fs::path& directory) {
  std::error_code gone;
  std::size_t count = 0;
  for (const auto& entry : fs::directory_iterator(directory, gone)) count += entry.path().empty() ? 0U : 1U;
  return count;
}

}  // namespace

double pssKib(pid_t pid) {
  return numberAfter("/proc/" + std::to_string(pid) + "/smaps_rollup", "Pss:");
}

double availableKib() {
  return numberAfter("/proc/meminfo", "MemAvailable:");
}

std::size_t descriptorsOf(pid_t pid) {
  return entries("/proc/" + std::to_string(pid) + "/fd");
}

std::size_t threadsOf(pid_t pid) {
  return entries("/proc/" + std::to_string(pid) + "/task");
}

std::vector<pid_t> processesNamed(const std::string& root, const std::string& name) {
  std::vector<pid_t> found;
  const bool hybrid = fs::exists("/sys/fs/cgroup/unified");
  const fs::path top = (hybrid ? "/sys/fs/cgroup/unified/" : "/sys/fs/cgroup/") + root;
  std::error_code gone;
  for (const auto& group : fs::recursive_directory_iterator(top, gone)) {
    if (!group.is_directory()) continue;
    std::ifstream list(group.path() / "cgroup.procs");
    for (pid_t pid = 0; list >> pid;) {
      std::string called;
      std::ifstream comm("/proc/" + std::to_string(pid) + "/comm");
      std::getline(comm, called);
      if (called == name) found.push_back(pid);
    }
  }
  return found;
}

}  // namespace cloister::bench
