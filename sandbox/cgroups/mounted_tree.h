// The one implementation of Tree: a tree of directories in each mounted hierarchy, held by descriptor.
//
// Threads: not shared. Failures: Error{stage "cgroup", operation, path, errno}.
#pragma once

#include <chrono>
#include <memory>
#include <string>
#include <vector>

#include "sandbox/cgroups/cgroups.h"
#include "sandbox/cgroups/control_files.h"
#include "sandbox/cgroups/layout.h"
#include "sandbox/cgroups/limits.h"

namespace cloister::cgroups {

using Clock = std::chrono::steady_clock;

// rmdir can fail for a moment after the last process has gone.
inline constexpr std::chrono::milliseconds kSettle{250};

struct Hierarchy {
  std::vector<launcher::DescriptorKind> kinds;
  UniqueFd parent;
  std::string name;
  UniqueFd root;
  [[nodiscard]] bool unified() const { return kinds.front() == launcher::DescriptorKind::unified; }
};

class MountedTree final : public Tree {
 public:
  MountedTree(Layout layout, std::vector<Hierarchy> hierarchies, std::vector<std::string> devices,
              std::unique_ptr<Directories> directories)
      : layout_(layout),
        hierarchies_(std::move(hierarchies)),
        devices_(std::move(devices)),
        directories_(std::move(directories)) {}

  [[nodiscard]] Layout layout() const override { return layout_; }
  [[nodiscard]] std::vector<Ability> abilities() const override;

  [[nodiscard]] Result<Group> putTenant(TenantIndex tenant, const launcher::TenantLimits& limits) override;
  [[nodiscard]] Status removeTenant(TenantIndex tenant) override;
  [[nodiscard]] Result<Group> createInstance(TenantIndex tenant, const std::string& instance,
                                             const launcher::Limits& limits) override;
  [[nodiscard]] Result<Group> openInstance(TenantIndex tenant, const std::string& instance) override;
  [[nodiscard]] Status join(const Group& group, pid_t pid, Born born) override;
  [[nodiscard]] Result<std::vector<UniqueFd>> joinFiles(const Group& group) override;
  [[nodiscard]] Result<UniqueFd> createExec(TenantIndex tenant, const std::string& instance,
                                            const std::string& exec) override;
  [[nodiscard]] Status killExec(TenantIndex tenant, const std::string& instance, const std::string& exec) override;
  [[nodiscard]] Result<bool> tryRemoveExec(TenantIndex tenant, const std::string& instance,
                                           const std::string& exec) override;
  [[nodiscard]] Result<UniqueFd> openExecEvents(TenantIndex tenant, const std::string& instance,
                                                const std::string& exec) override;
  [[nodiscard]] Status kill(TenantIndex tenant, const std::string& instance) override;
  [[nodiscard]] Status setMotion(TenantIndex tenant, const std::string& instance, Motion motion) override;
  [[nodiscard]] Result<bool> populated(TenantIndex tenant, const std::string& instance) override;
  [[nodiscard]] Result<std::vector<pid_t>> processes(TenantIndex tenant, const std::string& instance) override;
  [[nodiscard]] Status removeInstance(TenantIndex tenant, const std::string& instance, int milliseconds) override;
  [[nodiscard]] Result<bool> tryRemoveInstance(TenantIndex tenant, const std::string& instance) override;
  [[nodiscard]] Result<UniqueFd> openEvents(TenantIndex tenant, const std::string& instance) override;
  [[nodiscard]] Result<std::vector<FoundInstance>> scan() override;
  [[nodiscard]] Status removeAll() override;

 private:
  [[nodiscard]] Result<UniqueFd> openIn(const Hierarchy& hierarchy, const std::string& path) const {
    return openGroup(hierarchy.root.get(), path, path);
  }
  [[nodiscard]] Result<Group> openEverywhere(const std::string& path) const;
  [[nodiscard]] Status limitTenant(const Hierarchy& hierarchy, const Place& group, const Bounds& bounds) const;
  [[nodiscard]] Status clampChildren(const Place& group, std::uint64_t quota) const;
  [[nodiscard]] Status limitInstance(const Hierarchy& hierarchy, const std::string& tenant, const Place& group,
                                     const Bounds& bounds) const;
  [[nodiscard]] Status addTo(Group& group, const Hierarchy& hierarchy, UniqueFd directory,
                             const std::string& path) const;
  [[nodiscard]] Status removeOne(int parent, const std::string& path, Clock::time_point deadline);
  [[nodiscard]] Status removeEverywhere(const std::string& path, Clock::time_point deadline);
  void killStrays(const std::string& path) const;
  // Groups of execs that have no process any more.
  void removeEmptyExecs(const std::string& path) const;
  void undo(const std::vector<const Hierarchy*>& made, const std::string& path);

  Layout layout_;
  std::vector<Hierarchy> hierarchies_;  // the unified one first
  std::vector<std::string> devices_;    // whose rates are bounded
  std::unique_ptr<Directories> directories_;
};

}  // namespace cloister::cgroups
