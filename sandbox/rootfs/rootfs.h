// The container's file tree, laid out and entered by the child itself inside its own user and mount namespaces.
//
//   /            overlay: layers read-only below, the capped upper above; nosuid, nodev
//   /proc        of the own pid namespace; of the host-wide files only what policy/model/kernel_views.h keeps, some
//   with
//                the container's own text, settings read-only
//   /sys         devices/system/cpu, read-only, and nothing else (processor_tree.h)
//   /dev         tmpfs with null zero full random urandom tty, pts (own instance), shm, and the usual links
//   /etc/{hosts,hostname,resolv.conf}   written for this container
//   /upper       freeze only: the build's upper, read-only
//
// Every target is opened without following symbolic links after the old root is gone, so a hostile layer can make the
// launch fail but cannot lead a mount or a write anywhere.
// Threads: runs in the single-threaded child. Failures: Error{stage "rootfs", ...}; the child exits then.
// Preconditions: uid and gid maps written; root of the new user namespace; pid namespace entered.
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <vector>

#include "sandbox/base/identity.h"
#include "sandbox/base/live_views.h"
#include "sandbox/base/result.h"
#include "sandbox/base/unique_fd.h"
#include "sandbox/rootfs/kernel_views.h"

namespace cloister::rootfs {

struct Tree {
  std::vector<UniqueFd> layers;  // detached clones, topmost first
  UniqueFd upper;                // detached
  UniqueFd frozen;               // detached, freeze only
  std::string stage;             // an empty directory to lay things out on
  const KernelViews* views = nullptr;
  std::vector<OwnFile> own;               // of /proc
  std::uint64_t processors = 1;           // for /sys
  uid_t initUser = 0;                     // of cloister-init, in the container
  std::array<UniqueFd, kLiveViews> live;  // set by enter(): files of `own` that cloister-init writes, open for that
  std::string hostname;
  Ipv4 address = 0;
};

[[nodiscard]] Status enter(Tree& tree);

}  // namespace cloister::rootfs
