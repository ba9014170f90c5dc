// Groups of many tenants for the metering bench, made as the launcher makes them.
//
// Threads: one. Failures: std::runtime_error, but for the constructor, which ends where the machine gives no more.
#pragma once

#include <sys/types.h>

#include <chrono>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "sandbox/base/unique_fd.h"
#include "sandbox/cgroups/cgroups.h"

namespace cloister::bench {

// One instance a tenant, each in its tenant's group.
class MeteredGroups {
 public:
  explicit MeteredGroups(unsigned wanted);
  ~MeteredGroups();
  MeteredGroups(const MeteredGroups&) = delete;
  MeteredGroups& operator=(const MeteredGroups&) = delete;

  // A process goes through all groups and leaves a page charged to each, which it holds.
  void charge();
  // A process goes through the first `count` groups each second and spends some CPU in each, until rest().
  void work(unsigned count, std::chrono::milliseconds second);
  void rest();

  [[nodiscard]] std::size_t count() const { return inodes_.size(); }
  [[nodiscard]] std::uint64_t inode(unsigned i) const { return inodes_.at(i); }
  [[nodiscard]] cgroups::Group open(unsigned i) const;
  // cpu.stat of its tenant's own group.
  [[nodiscard]] UniqueFd cpuOfTenant(unsigned i) const;
  [[nodiscard]] const std::string& whyNoMore() const { return end_; }
  [[nodiscard]] const char* layout() const;
  [[nodiscard]] static std::string nameOf(unsigned i) { return "in-" + std::to_string(i) + "-1"; }

 private:
  std::unique_ptr<cgroups::Tree> tree_;
  std::vector<std::uint64_t> inodes_;
  std::string end_;
  pid_t holder_ = -1;
  pid_t worker_ = -1;
};

}  // namespace cloister::bench
