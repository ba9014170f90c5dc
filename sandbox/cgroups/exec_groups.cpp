// Groups of execs: within an instance's, in the unified hierarchy alone. See cgroups.h.
#include <fcntl.h>

#include <cerrno>

#include "sandbox/base/files.h"
#include "sandbox/cgroups/group_names.h"
#include "sandbox/cgroups/mounted_tree.h"

namespace cloister::cgroups {

void MountedTree::removeEmptyExecs(const std::string& path) const {
  const Hierarchy& unified = hierarchies_.front();
  auto group = openIn(unified, path);
  if (!group) return;
  auto execs = childGroups(Place{group->get(), path});
  if (!execs) return;
  // One that has a process stays: the kernel says EBUSY.
  for (const auto& exec : execs.value()) (void)directories_->remove(unified.root.get(), (path + "/" + exec).c_str());
}

Result<UniqueFd> MountedTree::createExec(TenantIndex tenant, const std::string& instance, const std::string& exec) {
  if (auto checked = checkExec(tenant, instance, exec); !checked) return checked.error();
  removeEmptyExecs(tenantName(tenant) + "/" + instance);
  const std::string path = execPath(tenant, instance, exec);
  if (directories_->make(hierarchies_.front().root.get(), path.c_str()) != 0) return failure("mkdir", path, errno);
  return openIn(hierarchies_.front(), path);
}

Status MountedTree::killExec(TenantIndex tenant, const std::string& instance, const std::string& exec) {
  if (auto checked = checkExec(tenant, instance, exec); !checked) return checked;
  const std::string path = execPath(tenant, instance, exec);
  auto opened = openIn(hierarchies_.front(), path);
  if (!opened) return opened.error();
  return writeFile(Place{opened->get(), path}, "cgroup.kill", "1");
}

Result<bool> MountedTree::tryRemoveExec(TenantIndex tenant, const std::string& instance, const std::string& exec) {
  if (auto checked = checkExec(tenant, instance, exec); !checked) return checked.error();
  const std::string path = execPath(tenant, instance, exec);
  if (directories_->remove(hierarchies_.front().root.get(), path.c_str()) == 0 || errno == ENOENT) return true;
  if (errno == EBUSY) return false;
  return failure("rmdir", path, errno);
}

Result<UniqueFd> MountedTree::openExecEvents(TenantIndex tenant, const std::string& instance, const std::string& exec) {
  if (auto checked = checkExec(tenant, instance, exec); !checked) return checked.error();
  auto group = openIn(hierarchies_.front(), execPath(tenant, instance, exec));
  if (!group) return group;
  return files::openAt(group->get(), "cgroup.events", O_RDONLY);
}

}  // namespace cloister::cgroups
