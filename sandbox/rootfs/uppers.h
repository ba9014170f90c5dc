// Uppers: the writable layer of each container, with a bound of its own on bytes and inodes.
//
// An overlay in a user namespace keeps its marks in user.* attributes, and needs them where a directory replaces
// another. tmpfs has those since Linux 6.6. So there are two kinds, one for all containers of a launcher:
//
//   memory   a tmpfs of the given size; what is written counts as memory of the container
//   disk     a directory with a project quota in one ext4, the pool, for kernels whose tmpfs keeps no such attributes
//
// The pool is a sparse file below a loop device. Whoever installs Cloister makes an empty image once (mkfs.ext4 with
// quotas for projects and no journal); the launcher mounts a copy of it and makes a new copy when nothing uses the last
// one, so after a reboot too: nothing in it outlives its containers, which is why it is neither journalled nor synced.
//
//   <pool>                        the empty image
//   <pool>.live                   the copy; its loop device stays as long as a launcher or a container uses it
//   <run>/mnt/uppers/<build>/     memory: the upper of a build that a freeze will read
//   <run>/mnt/pool/               disk: the mounted copy
//            uppers/<instance>/   one upper; its project is the inode's, and no other directory's
//                   upper/ work/  as overlay wants them, owned by the tenant's root
//            trash/               uppers whose container is gone: trash.h
//
// Threads: not shared. Failures: Error{stage "uppers", "quota", "trash" or "mount", operation, path, errno}.
// Preconditions: root in the first user namespace; Layers::open() has made `<run>/mnt` and the mount namespace private.
#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "sandbox/base/identity.h"
#include "sandbox/base/result.h"
#include "sandbox/base/unique_fd.h"
#include "sandbox/rootfs/project_quota.h"
#include "sandbox/rootfs/trash.h"

namespace cloister::rootfs {

enum class UpperKind { memory, disk };

class Uppers {
 public:
  enum class Wanted { automatic, memory, disk };
  struct Options {
    std::string mnt;   // <run>/mnt
    std::string pool;  // empty: there is none
    Wanted wanted = Wanted::automatic;
  };
  // ENOENT "find pool": disk is needed, and no image was named.
  [[nodiscard]] static Result<std::unique_ptr<Uppers>> open(const Options& options);

  // A detached mount with "upper" and "work" inside, owned by the tenant's root, closed to all others.
  [[nodiscard]] Result<UniqueFd> make(const std::string& instance, TenantIndex tenant, std::uint64_t bytes,
                                      std::uint64_t inodes);
  // Keeps an upper for the freeze that follows its build, until drop(). Returns the detached mount for the build.
  [[nodiscard]] Result<UniqueFd> keep(const std::string& instance, UniqueFd upper);
  [[nodiscard]] Result<UniqueFd> cloneReadOnly(const std::string& instance);
  // Lets go what is left of an instance's upper; there may be nothing. Its files are deleted later.
  [[nodiscard]] Status drop(const std::string& instance);
  // From here on a process of its own deletes what was dropped, also by earlier launchers. Call it when the launcher
  // has confined itself: that process is a copy.
  [[nodiscard]] Status startDeleting();
  // Ends the pool, with all that was dropped; nothing may use it any more.
  [[nodiscard]] Status close();

  [[nodiscard]] UpperKind kind() const { return kind_; }
  // Why this kind, in a sentence for people.
  [[nodiscard]] const std::string& reason() const { return reason_; }

 private:
  explicit Uppers(const Options& options);
  [[nodiscard]] Status openPool();
  [[nodiscard]] Status findLastProject();
  [[nodiscard]] Result<UniqueFd> makeInMemory(TenantIndex tenant, std::uint64_t bytes, std::uint64_t inodes) const;
  [[nodiscard]] Result<UniqueFd> makeOnDisk(const std::string& instance, TenantIndex tenant, std::uint64_t bytes,
                                            std::uint64_t inodes);

  std::string kept_;  // <run>/mnt/uppers
  std::string pool_;  // <run>/mnt/pool
  std::string image_;
  UpperKind kind_ = UpperKind::memory;
  std::string reason_;
  UniqueFd uppers_;  // of the pool
  std::unique_ptr<Trash> trash_;
  bool deleting_ = false;
  Project last_ = 0;
};

}  // namespace cloister::rootfs
