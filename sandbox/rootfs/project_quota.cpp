#include "sandbox/rootfs/project_quota.h"

#include <linux/fs.h>
#include <linux/quota.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <string>

namespace cloister::rootfs {
namespace {

constexpr std::string_view kStage = "quota";
constexpr std::uint64_t kQuotaBlock = 1024;

Status setLimits(int directory, Project project, std::uint64_t blocks, std::uint64_t inodes) {
  if_dqblk limits{};
  limits.dqb_bhardlimit = blocks;
  limits.dqb_ihardlimit = inodes;
  limits.dqb_valid = QIF_LIMITS;
  constexpr unsigned kCommand = QCMD(static_cast<unsigned>(Q_SETQUOTA), static_cast<unsigned>(PRJQUOTA));
  if (::syscall(SYS_quotactl_fd, directory, kCommand, project, &limits) != 0) {
    return errnoError(kStage, "set", std::to_string(project));
  }
  return {};
}

}  // namespace

Status setProject(int directory, Project project) {
  fsxattr attributes{};
  if (::ioctl(directory, FS_IOC_FSGETXATTR, &attributes) != 0) {
    return errnoError(kStage, "FS_IOC_FSGETXATTR", std::to_string(project));
  }
  attributes.fsx_projid = project;
  attributes.fsx_xflags |= FS_XFLAG_PROJINHERIT;
  if (::ioctl(directory, FS_IOC_FSSETXATTR, &attributes) != 0) {
    return errnoError(kStage, "FS_IOC_FSSETXATTR", std::to_string(project));
  }
  return {};
}

Result<Project> projectOf(int directory) {
  fsxattr attributes{};
  if (::ioctl(directory, FS_IOC_FSGETXATTR, &attributes) != 0) return errnoError(kStage, "FS_IOC_FSGETXATTR");
  return attributes.fsx_projid;
}

// Zero would mean no limit.
Status limitProject(int directory, Project project, std::uint64_t bytes, std::uint64_t inodes) {
  const std::uint64_t blocks = bytes / kQuotaBlock + (bytes % kQuotaBlock != 0 ? 1 : 0);
  return setLimits(directory, project, std::max<std::uint64_t>(blocks, 1), std::max<std::uint64_t>(inodes, 1));
}

Status unlimitProject(int directory, Project project) {
  return setLimits(directory, project, 0, 0);
}

}  // namespace cloister::rootfs
