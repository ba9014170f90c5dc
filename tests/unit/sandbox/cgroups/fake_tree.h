// A cgroup tree of ordinary files in a temporary directory: mkdir of a group writes its control files, rmdir takes
// them. Control files named "<group>/<file>" in `refuse` are left out: writing them fails as on a kernel without them.
#pragma once

#include <cerrno>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <map>
#include <set>
#include <sstream>
#include <string>

#include "sandbox/cgroups/layout.h"

namespace cloister::cgroups::fake {

using ControlFiles = std::map<std::string, std::string>;

inline const ControlFiles kUnified = {
    {"cgroup.controllers", "cpuset cpu io memory pids\n"},
    {"cgroup.subtree_control", ""},
    {"cgroup.procs", ""},
    {"cgroup.events", "populated 0\nfrozen 0\n"},
    {"cgroup.kill", ""},
    {"cgroup.freeze", "0\n"},
    {"cpu.max", "max 100000\n"},
    {"cpu.max.burst", "0\n"},
    {"cpu.weight", "100\n"},
    {"io.max", ""},
    {"memory.high", "max\n"},
    {"memory.max", "max\n"},
    {"memory.pressure", ""},
    {"memory.swap.max", "max\n"},
    {"memory.oom.group", "0\n"},
    {"pids.max", "max\n"},
};
inline const ControlFiles kBare = {{"cgroup.controllers", ""},
                                   {"cgroup.procs", ""},
                                   {"cgroup.events", "populated 0\nfrozen 0\n"},
                                   {"cgroup.kill", ""},
                                   {"cgroup.freeze", "0\n"}};
inline const ControlFiles kLegacy = {{"cgroup.procs", ""},
                                     {"tasks", ""},
                                     {"cpu.cfs_period_us", "100000\n"},
                                     {"cpu.cfs_quota_us", "-1\n"},
                                     {"cpu.cfs_burst_us", "0\n"},
                                     {"cpu.shares", "1024\n"},
                                     {"memory.soft_limit_in_bytes", "-1\n"},
                                     {"blkio.throttle.read_bps_device", ""},
                                     {"blkio.throttle.write_bps_device", ""},
                                     {"blkio.throttle.read_iops_device", ""},
                                     {"blkio.throttle.write_iops_device", ""},
                                     {"memory.limit_in_bytes", "-1\n"},
                                     {"memory.use_hierarchy", "0\n"},
                                     {"pids.max", "max\n"}};

class FakeDirectories final : public Directories {
 public:
  FakeDirectories(std::map<std::string, ControlFiles> byMount, std::set<std::string> refuse)
      : byMount_(std::move(byMount)), refuse_(std::move(refuse)) {}

  int make(int parent, const char* name) override {
    if (Directories::make(parent, name) != 0) return -1;
    const std::filesystem::path path = pathOf(parent) / name;
    for (const auto& [file, text] : filesOf(path)) {
      if (refuse_.count(path.filename().string() + "/" + file) == 0) std::ofstream(path / file) << text;
    }
    return 0;
  }

  int remove(int parent, const char* name) override {
    const std::filesystem::path path = pathOf(parent) / name;
    std::error_code error;
    if (!std::filesystem::is_directory(path, error)) return fail(ENOENT);
    for (const auto& entry : std::filesystem::directory_iterator(path)) {
      if (entry.is_directory()) return fail(EBUSY);
    }
    std::ifstream procs(path / "cgroup.procs");
    if (procs.peek() != std::ifstream::traits_type::eof()) return fail(EBUSY);
    std::filesystem::remove_all(path);
    return 0;
  }

 private:
  static int fail(int code) {
    errno = code;
    return -1;
  }
  static std::filesystem::path pathOf(int directory) {
    return std::filesystem::read_symlink("/proc/self/fd/" + std::to_string(directory));
  }
  const ControlFiles& filesOf(const std::filesystem::path& path) const {
    for (const auto& [mount, files] : byMount_) {
      if (path.string().starts_with(mount)) return files;
    }
    static const ControlFiles none;
    return none;
  }
  std::map<std::string, ControlFiles> byMount_;
  std::set<std::string> refuse_;
};

class TemporaryDirectory {
 public:
  TemporaryDirectory() {
    std::string pattern = (std::filesystem::temp_directory_path() / "cloister-cgroups-XXXXXX").string();
    path_ = ::mkdtemp(pattern.data());
  }
  ~TemporaryDirectory() { std::filesystem::remove_all(path_); }
  TemporaryDirectory(const TemporaryDirectory&) = delete;
  TemporaryDirectory& operator=(const TemporaryDirectory&) = delete;
  [[nodiscard]] std::string operator/(const std::string& name) const { return (path_ / name).string(); }

 private:
  std::filesystem::path path_;
};

inline std::string text(const std::string& path) {
  std::ostringstream all;
  all << std::ifstream(path).rdbuf();
  return all.str();
}

inline void put(const std::string& path, const std::string& contents) {
  std::ofstream(path) << contents;
}

}  // namespace cloister::cgroups::fake
