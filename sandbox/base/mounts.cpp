#include "sandbox/base/mounts.h"

#include <fcntl.h>
#include <linux/mount.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>

// <sys/mount.h> and <linux/mount.h> of this glibc contradict each other, so the four classic calls are declared here.
extern "C" {
int mount(const char*, const char*, const char*, unsigned long, const void*) noexcept;
int umount2(const char*, int) noexcept;
}

namespace cloister::mounts {
namespace {

constexpr std::string_view kStage = "mount";
constexpr int kDetachFlag = 2;           // MNT_DETACH
constexpr unsigned kEmptyPath = 0x1000;  // AT_EMPTY_PATH

}  // namespace

Result<UniqueFd> make(std::string_view type, const std::vector<Option>& options, std::uint64_t attributes) {
  const std::string name(type);
  UniqueFd context(static_cast<int>(::syscall(SYS_fsopen, name.c_str(), FSOPEN_CLOEXEC)));
  if (!context) return errnoError(kStage, "fsopen", type);
  for (const auto& option : options) {
    const long set =
        option.value.empty()
            ? ::syscall(SYS_fsconfig, context.get(), FSCONFIG_SET_FLAG, option.key.c_str(), nullptr, 0)
            : ::syscall(SYS_fsconfig, context.get(), FSCONFIG_SET_STRING, option.key.c_str(), option.value.c_str(), 0);
    if (set != 0) return errnoError(kStage, "fsconfig " + option.key, type);
  }
  if (::syscall(SYS_fsconfig, context.get(), FSCONFIG_CMD_CREATE, nullptr, nullptr, 0) != 0) {
    return errnoError(kStage, "fsconfig create", type);
  }
  const long mounted = ::syscall(SYS_fsmount, context.get(), FSMOUNT_CLOEXEC, static_cast<unsigned>(attributes));
  if (mounted < 0) return errnoError(kStage, "fsmount", type);
  return UniqueFd(static_cast<int>(mounted));
}

Result<UniqueFd> clone(int dir, std::string_view path) {
  const std::string name(path);
  const unsigned flags = OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | (path.empty() ? kEmptyPath : 0U);
  const long tree = ::syscall(SYS_open_tree, dir, name.c_str(), flags);
  if (tree < 0) return errnoError(kStage, "open_tree", path);
  return UniqueFd(static_cast<int>(tree));
}

Status attach(int mounted, int target, std::string_view what) {
  if (::syscall(SYS_move_mount, mounted, "", target, "", MOVE_MOUNT_F_EMPTY_PATH | MOVE_MOUNT_T_EMPTY_PATH) != 0) {
    return errnoError(kStage, "move_mount", what);
  }
  return {};
}

Status attachBelow(int mounted, int dir, const std::string& name) {
  if (::syscall(SYS_move_mount, mounted, "", dir, name.c_str(), MOVE_MOUNT_F_EMPTY_PATH) != 0) {
    return errnoError(kStage, "move_mount", name);
  }
  return {};
}

Status restrict(int mounted, std::uint64_t attributes) {
  mount_attr change{};
  change.attr_set = attributes;
  if (::syscall(SYS_mount_setattr, mounted, "", kEmptyPath, &change, sizeof change) != 0) {
    return errnoError(kStage, "mount_setattr");
  }
  return {};
}

Status idMap(int mounted, int userns) {
  mount_attr change{};
  change.attr_set = MOUNT_ATTR_IDMAP;
  change.userns_fd = static_cast<unsigned>(userns);
  if (::syscall(SYS_mount_setattr, mounted, "", kEmptyPath, &change, sizeof change) != 0) {
    return errnoError(kStage, "mount_setattr idmap");
  }
  return {};
}

Status overlay(std::string_view target, std::string_view options) {
  constexpr unsigned long kQuiet = 2 | 4;  // MS_NOSUID | MS_NODEV
  if (::mount("overlay", std::string(target).c_str(), "overlay", kQuiet, std::string(options).c_str()) != 0) {
    return errnoError(kStage, "mount overlay", options);
  }
  return {};
}

Status makePrivate() {
  constexpr unsigned long kRecursivePrivate = (1UL << 18U) | (1UL << 14U);  // MS_PRIVATE | MS_REC
  if (::mount(nullptr, "/", nullptr, kRecursivePrivate, nullptr) != 0) return errnoError(kStage, "make private", "/");
  return {};
}

Status detach(std::string_view path) {
  if (::umount2(std::string(path).c_str(), kDetachFlag) != 0) return errnoError(kStage, "umount", path);
  return {};
}

Status pivotHere() {
  if (::syscall(SYS_pivot_root, ".", ".") != 0) return errnoError(kStage, "pivot_root");
  // The old root lies on top of the new one at "." now.
  if (::umount2(".", kDetachFlag) != 0) return errnoError(kStage, "umount", "old root");
  if (::chdir("/") != 0) return errnoError(kStage, "chdir", "/");
  return {};
}

}  // namespace cloister::mounts
