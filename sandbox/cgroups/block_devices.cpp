#include "sandbox/cgroups/block_devices.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#include "sandbox/base/files.h"

namespace cloister::cgroups {
namespace {

std::string nameOf(dev_t device) {
  return std::to_string(major(device)) + ":" + std::to_string(minor(device));
}

// File systems that span disks (btrfs) give their files a device number of no disk: the mount's source says which.
dev_t deviceOf(const std::string& directory) {
  struct stat status {};
  if (::stat(directory.c_str(), &status) != 0) return 0;
  if (major(status.st_dev) != 0) return status.st_dev;
  struct statx extended {};
  if (::statx(AT_FDCWD, directory.c_str(), 0, STATX_MNT_ID, &extended) != 0) return 0;
  const auto mounts = files::read("/proc/self/mountinfo", 16U << 20U);
  if (!mounts) return 0;
  const std::string key = "\n" + std::to_string(extended.stx_mnt_id) + " ";
  const std::string text = "\n" + *mounts;
  const auto line = text.find(key);
  if (line == std::string::npos) return 0;
  // After " - ": type, source, options.
  const auto type = text.find(" - ", line + 1);
  const auto source = type == std::string::npos ? type : text.find(' ', type + 3);
  const auto end = source == std::string::npos ? source : text.find(' ', source + 1);
  if (end == std::string::npos || end > text.find('\n', line + 1)) return 0;
  const std::string path = text.substr(source + 1, end - source - 1);
  if (path.empty() || path.front() != '/' || ::stat(path.c_str(), &status) != 0 || !S_ISBLK(status.st_mode)) return 0;
  return status.st_rdev;
}

}  // namespace

std::vector<std::string> backingDevices(const std::string& directory) {
  const dev_t device = deviceOf(directory);
  if (device == 0) return {};
  const std::string entry = "/sys/dev/block/" + nameOf(device);
  struct stat status {};
  if (::stat(entry.c_str(), &status) != 0) return {};
  if (::stat((entry + "/partition").c_str(), &status) != 0) return {nameOf(device)};
  auto disk = files::read(entry + "/../dev", 64);
  if (!disk) return {};
  std::string name = std::move(disk).value();
  while (!name.empty() && name.back() == '\n') name.pop_back();
  return {name};
}

}  // namespace cloister::cgroups
