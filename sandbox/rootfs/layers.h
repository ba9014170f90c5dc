// Layers: read-only erofs images named by their SHA-256, verified, mounted once a host, shown to a tenant through an
// id-mapped clone.
//
// On disk, and in the launcher's own mount namespace (so that nothing is left when it ends):
//   <store>/<digest>          root's own copy of the image: the bytes that were hashed are the bytes that are mounted.
//                             The host's only one: a group may read it, and nobody but root can change it
//   <run>/mnt/                tmpfs
//           layers/<digest>/  the mounted image
//           stage/            where a child lays its tree out, in its own mount namespace
//           uppers/ pool/     uppers.h
//
// Threads: not shared. Failures: Error{stage "layer", operation, path, errno}; a failed mount leaves nothing behind.
// Preconditions: root in the first user namespace, in a mount namespace of its own (privatise()).
#pragma once

#include <sys/types.h>

#include <map>
#include <memory>
#include <string>

#include "sandbox/base/identity.h"
#include "sandbox/base/launcher_protocol.h"
#include "sandbox/base/result.h"
#include "sandbox/base/unique_fd.h"

namespace cloister::rootfs {

class Layers {
 public:
  // Leaves the caller's mount namespace for a private one and prepares `<run>/mnt` in it.
  // Members of `readers` may list and read the store.
  [[nodiscard]] static Result<std::unique_ptr<Layers>> open(const std::string& store, const std::string& run,
                                                            gid_t readers = 0);

  // Copies the image behind `file` into the store while hashing it, refuses other bytes with EBADMSG, mounts it.
  // Idempotent.
  [[nodiscard]] Status mount(const std::string& digest, int file);
  // The part of it that takes as long as the image is large: copies and verifies into the store, where ensure() finds
  // it. For a child; never two of one digest at a time.
  [[nodiscard]] Status fetch(const std::string& digest, int file) const;
  // Unmounts and deletes. Containers that use it keep it until they end.
  [[nodiscard]] Status release(const std::string& digest);
  // Mounts what the store holds (bytes verified when they came in): after a restart nobody has to send them again.
  [[nodiscard]] Status ensure(const std::string& digest);
  // A detached, read-only clone of the layer whose ids are the tenant's. ENOENT: not mounted.
  [[nodiscard]] Result<UniqueFd> clone(const std::string& digest, TenantIndex tenant);

  // Forgets a tenant's cached user namespace.
  void forgetTenant(TenantIndex tenant) { userns_.erase(tenant); }
  [[nodiscard]] const std::string& stage() const { return stage_; }
  // <run>/mnt
  [[nodiscard]] const std::string& mnt() const { return mnt_; }

 private:
  Layers(std::string store, std::string mnt, gid_t readers);
  [[nodiscard]] Status shareStore() const;
  [[nodiscard]] Result<int> tenantNamespace(TenantIndex tenant);
  [[nodiscard]] Status mountImage(const std::string& digest);

  std::string store_;
  std::string mnt_;
  std::string stage_;
  gid_t readers_;
  std::map<TenantIndex, UniqueFd> userns_;
};

// Writes uid_map and gid_map of `pid`: its 0..65535 are the tenant's range. Needs CAP_SETUID and CAP_SETGID.
[[nodiscard]] Status writeIdMaps(pid_t pid, TenantIndex tenant);

}  // namespace cloister::rootfs
