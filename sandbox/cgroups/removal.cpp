// How groups go: instances when they are empty, tenants when they have no instance, the root for a purge.
#include <fcntl.h>
#include <poll.h>

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <thread>

#include "sandbox/base/files.h"
#include "sandbox/cgroups/group_names.h"
#include "sandbox/cgroups/mounted_tree.h"

namespace cloister::cgroups {

// rmdir, again while EBUSY and `deadline` is ahead. ENOENT counts as done.
Status MountedTree::removeOne(int parent, const std::string& path, Clock::time_point deadline) {
  for (;;) {
    if (directories_->remove(parent, path.c_str()) == 0 || errno == ENOENT) return {};
    const int code = errno;
    if (code != EBUSY || Clock::now() >= deadline) return failure("rmdir", path, code);
    std::this_thread::sleep_for(std::chrono::milliseconds(2));
  }
}

Status MountedTree::removeEverywhere(const std::string& path, Clock::time_point deadline) {
  for (auto hierarchy = hierarchies_.rbegin(); hierarchy != hierarchies_.rend(); ++hierarchy) {
    if (auto removed = removeOne(hierarchy->root.get(), path, deadline); !removed) return removed;
  }
  return {};
}

Status MountedTree::removeAll() {
  const auto deadline = Clock::now() + kSettle;
  for (auto hierarchy = hierarchies_.rbegin(); hierarchy != hierarchies_.rend(); ++hierarchy) {
    const int root = hierarchy->root.get();
    auto groups = childGroups(Place{root, hierarchy->name});
    if (!groups) return groups.error();
    for (const std::string& group : groups.value()) {
      auto opened = openGroup(root, group, group);
      if (!opened) return opened.error();
      auto children = childGroups(Place{opened->get(), group});
      if (!children) return children.error();
      for (const std::string& child : children.value()) {
        if (hierarchy->unified()) removeEmptyExecs(group + "/" + child);
        if (auto removed = removeOne(root, group + "/" + child, deadline); !removed) return removed;
      }
      if (auto removed = removeOne(root, group, deadline); !removed) return removed;
    }
    if (auto removed = removeOne(hierarchy->parent.get(), hierarchy->name, deadline); !removed) return removed;
  }
  return {};
}

Status MountedTree::removeInstance(TenantIndex tenant, const std::string& instance, int milliseconds) {
  if (auto checked = checkInstance(tenant, instance); !checked) return checked;
  const std::string path = tenantName(tenant) + "/" + instance;
  const auto deadline = Clock::now() + std::chrono::milliseconds(std::max(milliseconds, 0));
  auto group = openIn(hierarchies_.front(), path);
  if (!group && group.error().code != ENOENT) return group.error();
  while (group) {
    // Opened before the question: a change after it wakes the poll.
    auto events = files::openAt(group->get(), "cgroup.events", O_RDONLY);
    auto busy = populated(tenant, instance);
    if (!busy && busy.error().code != ENOENT) return busy.error();
    if (!busy || !busy.value()) break;
    const auto left = std::chrono::duration_cast<std::chrono::milliseconds>(deadline - Clock::now()).count();
    if (left <= 0) return failure("wait until empty", path, ETIMEDOUT);
    pollfd wait{events ? events->get() : -1, POLLPRI, 0};
    (void)::poll(&wait, 1, static_cast<int>(std::min<decltype(left)>(left, 10)));
  }
  removeEmptyExecs(path);
  return removeEverywhere(path, std::max(deadline, Clock::now() + kSettle));
}

Result<bool> MountedTree::tryRemoveInstance(TenantIndex tenant, const std::string& instance) {
  if (auto checked = checkInstance(tenant, instance); !checked) return checked.error();
  auto busy = populated(tenant, instance);
  if (!busy && busy.error().code != ENOENT) return busy.error();
  if (busy && busy.value()) return false;
  removeEmptyExecs(tenantName(tenant) + "/" + instance);
  auto removed = removeEverywhere(tenantName(tenant) + "/" + instance, Clock::time_point::min());
  if (removed) return true;
  if (removed.error().code != EBUSY) return removed.error();
  killStrays(tenantName(tenant) + "/" + instance);
  return false;
}

// Nothing of ours is in a v1 group alone; what was put there from outside would keep it forever.
void MountedTree::killStrays(const std::string& path) const {
  for (const Hierarchy& hierarchy : hierarchies_) {
    if (hierarchy.unified()) continue;
    auto opened = openIn(hierarchy, path);
    if (!opened) continue;
    auto strays = readProcesses(Place{opened->get(), path});
    if (!strays) continue;
    for (const pid_t pid : strays.value()) {
      if (pid > 1) (void)::kill(pid, SIGKILL);
    }
  }
}

Result<UniqueFd> MountedTree::openEvents(TenantIndex tenant, const std::string& instance) {
  if (auto checked = checkInstance(tenant, instance); !checked) return checked.error();
  const std::string path = tenantName(tenant) + "/" + instance;
  auto group = openIn(hierarchies_.front(), path);
  if (!group) return group;
  return files::openAt(group->get(), "cgroup.events", O_RDONLY);
}

}  // namespace cloister::cgroups
