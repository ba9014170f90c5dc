#include "sandbox/cgroups/cgroups.h"

#include <fcntl.h>
#include <sys/stat.h>

#include <cerrno>
#include <utility>

#include "sandbox/base/files.h"
#include "sandbox/cgroups/block_devices.h"
#include "sandbox/cgroups/group_names.h"
#include "sandbox/cgroups/mounted_tree.h"
#include "sandbox/cgroups/root.h"

namespace cloister::cgroups {

using launcher::DescriptorKind;

Result<Group> MountedTree::openEverywhere(const std::string& path) const {
  Group group;
  for (const Hierarchy& hierarchy : hierarchies_) {
    for (const DescriptorKind kind : hierarchy.kinds) {
      auto opened = openIn(hierarchy, path);
      if (!opened) return opened.error();
      group.directories.emplace_back(kind, std::move(opened).value());
    }
  }
  struct stat status {};
  if (::fstat(group.unified(), &status) != 0) return failure("fstat", path, errno);
  group.inode = status.st_ino;
  return group;
}

void MountedTree::undo(const std::vector<const Hierarchy*>& made, const std::string& path) {
  for (auto hierarchy = made.rbegin(); hierarchy != made.rend(); ++hierarchy) {
    (void)directories_->remove((*hierarchy)->root.get(), path.c_str());
  }
}

Status MountedTree::clampChildren(const Place& group, std::uint64_t quota) const {
  auto children = childGroups(group);
  if (!children) return children.error();
  for (const std::string& child : children.value()) {
    auto opened = openGroup(group.directory, child, group.name + "/" + child);
    if (!opened) {
      if (opened.error().code == ENOENT) continue;
      return opened.error();
    }
    const Place place{opened->get(), group.name + "/" + child};
    if (auto clamped = clampQuota(place, quota); !clamped) return clamped;
  }
  return {};
}

Status MountedTree::limitTenant(const Hierarchy& hierarchy, const Place& group, const Bounds& bounds) const {
  if (layout_ == Layout::unified) {
    if (auto enabled = enableControllers(group); !enabled) return enabled;
    return writeUnified(group, bounds, Level::tenant, {}, devices_);
  }
  for (const DescriptorKind kind : hierarchy.kinds) {
    if (kind == DescriptorKind::cpu) {
      if (auto clamped = clampChildren(group, quotaOf(bounds.cpuMillis)); !clamped) return clamped;
    }
    if (auto wrote = writeLegacy(group, kind, bounds, Level::tenant, {}, devices_); !wrote) return wrote;
  }
  return {};
}

Result<Group> MountedTree::putTenant(TenantIndex tenant, const launcher::TenantLimits& limits) {
  const std::string name = tenantName(tenant);
  if (!validTenant(tenant)) return failure("check the tenant", name, EINVAL);
  if (limits.memoryBytes == 0 || limits.cpuMillis == 0 || limits.pids == 0) {
    return failure("check the tenant's limits", name, EINVAL);
  }
  const Bounds bounds = boundsOf(limits);
  std::vector<const Hierarchy*> made;
  for (const Hierarchy& hierarchy : hierarchies_) {
    Status done;
    if (directories_->make(hierarchy.root.get(), name.c_str()) == 0) {
      made.push_back(&hierarchy);
    } else if (errno != EEXIST) {
      done = failure("mkdir", name, errno);
    }
    if (done) {
      auto opened = openIn(hierarchy, name);
      done = opened ? limitTenant(hierarchy, Place{opened->get(), name}, bounds) : Status{opened.error()};
    }
    if (!done) {
      undo(made, name);
      return done.error();
    }
  }
  auto group = openEverywhere(name);
  if (!group) undo(made, name);
  return group;
}

Status MountedTree::removeTenant(TenantIndex tenant) {
  if (!validTenant(tenant)) return failure("check the tenant", tenantName(tenant), EINVAL);
  auto found = openIn(hierarchies_.front(), tenantName(tenant));
  if (found) {
    auto children = childGroups(Place{found->get(), tenantName(tenant)});
    if (!children) return children.error();
    if (!children->empty()) return failure("rmdir", tenantName(tenant) + "/" + children->front(), EBUSY);
  }
  return removeEverywhere(tenantName(tenant), Clock::now() + kSettle);
}

Status MountedTree::limitInstance(const Hierarchy& hierarchy, const std::string& tenant, const Place& group,
                                  const Bounds& bounds) const {
  for (const DescriptorKind kind : hierarchy.kinds) {
    if (kind == DescriptorKind::unified && layout_ != Layout::unified) continue;
    Parent parent;
    if (followsParent(kind)) {
      auto above = openIn(hierarchy, tenant);
      if (!above) return above.error();
      auto read = readParent(Place{above->get(), tenant}, kind);
      if (!read) return read.error();
      parent = std::move(read).value();
    }
    const Status wrote = kind == DescriptorKind::unified
                             ? writeUnified(group, bounds, Level::instance, parent, devices_)
                             : writeLegacy(group, kind, bounds, Level::instance, parent, devices_);
    if (!wrote) return wrote;
  }
  return {};
}

// A descriptor a kind, of which the first is `directory`.
Status MountedTree::addTo(Group& group, const Hierarchy& hierarchy, UniqueFd directory, const std::string& path) const {
  for (const DescriptorKind kind : hierarchy.kinds) {
    if (!directory) {
      auto again = openIn(hierarchy, path);
      if (!again) return again.error();
      directory = std::move(again).value();
    }
    group.directories.emplace_back(kind, std::exchange(directory, UniqueFd()));
  }
  return {};
}

Result<Group> MountedTree::createInstance(TenantIndex tenant, const std::string& instance,
                                          const launcher::Limits& limits) {
  if (auto checked = checkInstance(tenant, instance); !checked) return checked.error();
  const std::string path = tenantName(tenant) + "/" + instance;
  const Bounds bounds = boundsOf(limits);
  Group group;
  std::vector<const Hierarchy*> made;
  for (const Hierarchy& hierarchy : hierarchies_) {
    Status done;
    int result = directories_->make(hierarchy.root.get(), path.c_str());
    // The unified directory is made first and removed last: one elsewhere without it is what an interrupted call left.
    if (result != 0 && errno == EEXIST && !hierarchy.unified() &&
        directories_->remove(hierarchy.root.get(), path.c_str()) == 0) {
      result = directories_->make(hierarchy.root.get(), path.c_str());
    }
    if (result == 0) {
      made.push_back(&hierarchy);
      auto opened = openIn(hierarchy, path);
      done = opened ? limitInstance(hierarchy, tenantName(tenant), Place{opened->get(), path}, bounds)
                    : Status{opened.error()};
      if (done) done = addTo(group, hierarchy, std::move(opened).value(), path);
    } else {
      done = failure("mkdir", path, errno);
    }
    if (!done) {
      undo(made, path);
      return done.error();
    }
  }
  struct stat status {};
  if (::fstat(group.unified(), &status) != 0) {
    const Error error = failure("fstat", path, errno);
    undo(made, path);
    return error;
  }
  group.inode = status.st_ino;
  return group;
}

Result<Group> MountedTree::openInstance(TenantIndex tenant, const std::string& instance) {
  if (auto checked = checkInstance(tenant, instance); !checked) return checked.error();
  return openEverywhere(tenantName(tenant) + "/" + instance);
}

Status MountedTree::join(const Group& group, pid_t pid, Born born) {
  const std::string text = std::to_string(pid);
  for (const auto& [kind, directory] : group.directories) {
    if (kind == DescriptorKind::unified && born == Born::insideUnified) continue;
    if (auto wrote = writeFile(Place{directory.get(), "group"}, "cgroup.procs", text); !wrote) return wrote;
  }
  return {};
}

Result<std::vector<UniqueFd>> MountedTree::joinFiles(const Group& group) {
  std::vector<UniqueFd> tasks;
  for (const auto& [kind, directory] : group.directories) {
    if (kind == DescriptorKind::unified) continue;
    auto file = files::openAt(directory.get(), "tasks", O_WRONLY);
    if (!file) return failure("open", "tasks", file.error().code);
    tasks.push_back(std::move(file).value());
  }
  return tasks;
}

// Who is in a v1 group is in the unified one too, where it was born.
Status MountedTree::kill(TenantIndex tenant, const std::string& instance) {
  if (auto checked = checkInstance(tenant, instance); !checked) return checked;
  const std::string path = tenantName(tenant) + "/" + instance;
  auto opened = openIn(hierarchies_.front(), path);
  if (!opened) return opened.error();
  return writeFile(Place{opened->get(), path}, "cgroup.kill", "1");
}

Status MountedTree::setMotion(TenantIndex tenant, const std::string& instance, Motion motion) {
  if (auto checked = checkInstance(tenant, instance); !checked) return checked;
  const std::string path = tenantName(tenant) + "/" + instance;
  auto opened = openIn(hierarchies_.front(), path);
  if (!opened) return opened.error();
  return writeFile(Place{opened->get(), path}, "cgroup.freeze", motion == Motion::frozen ? "1" : "0");
}

Result<bool> MountedTree::populated(TenantIndex tenant, const std::string& instance) {
  if (auto checked = checkInstance(tenant, instance); !checked) return checked.error();
  const std::string path = tenantName(tenant) + "/" + instance;
  auto opened = openIn(hierarchies_.front(), path);
  if (!opened) return opened.error();
  auto events = readFile(Place{opened->get(), path}, "cgroup.events");
  if (!events) return events.error();
  return parsePopulated(events.value());
}

Result<std::vector<pid_t>> MountedTree::processes(TenantIndex tenant, const std::string& instance) {
  if (auto checked = checkInstance(tenant, instance); !checked) return checked.error();
  const std::string path = tenantName(tenant) + "/" + instance;
  auto opened = openIn(hierarchies_.front(), path);
  if (!opened) return opened.error();
  return readProcesses(Place{opened->get(), path});
}

Result<std::vector<FoundInstance>> MountedTree::scan() {
  const int root = hierarchies_.front().root.get();
  auto tenants = childGroups(Place{root, "."});
  if (!tenants) return tenants.error();
  std::vector<FoundInstance> found;
  for (const std::string& name : tenants.value()) {
    TenantIndex tenant = 0;
    if (!parseTenantName(name, tenant)) continue;
    auto opened = openGroup(root, name, name);
    if (!opened) {
      if (opened.error().code == ENOENT) continue;
      return opened.error();
    }
    auto instances = childGroups(Place{opened->get(), name});
    if (!instances) return instances.error();
    for (std::string& instance : instances.value()) {
      if (validInstanceId(instance)) found.push_back({tenant, std::move(instance)});
    }
  }
  return found;
}

int Group::unified() const {
  for (const auto& [kind, directory] : directories) {
    if (kind == DescriptorKind::unified) return directory.get();
  }
  return -1;
}

Result<std::unique_ptr<Tree>> openTree(const MountLayout& layout, const std::string& root,
                                       std::vector<std::string> devices, std::unique_ptr<Directories> directories) {
  auto path = rootComponents(root);
  if (!path) return path.error();
  std::vector<Hierarchy> hierarchies;
  for (const Mount& mount : layout.mounts) {
    auto opened = makeRoot(mount, layout.layout, path.value(), *directories);
    if (!opened) return opened.error();
    hierarchies.push_back(
        Hierarchy{mount.kinds, std::move(opened->parent), std::move(opened->name), std::move(opened->group)});
  }
  return std::unique_ptr<Tree>(
      std::make_unique<MountedTree>(layout.layout, std::move(hierarchies), std::move(devices), std::move(directories)));
}

Result<std::unique_ptr<Tree>> Tree::open(const std::string& root, const std::string& storage) {
  auto mountinfo = files::read("/proc/self/mountinfo", 16U << 20U);
  if (!mountinfo) return failure("read", "/proc/self/mountinfo", mountinfo.error().code);
  auto layout = parseMountInfo(mountinfo.value());
  if (!layout) return layout.error();
  return openTree(layout.value(), root, backingDevices(storage), std::make_unique<Directories>());
}

}  // namespace cloister::cgroups
