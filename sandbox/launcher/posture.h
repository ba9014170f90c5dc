// Posture: which protections this kernel has and the launcher uses, found by asking the kernel, once at start.
//
// Threads: immutable after detect(). Failures: what cannot be found out counts as absent, with the reason.
#pragma once

#include "sandbox/base/launcher_protocol.h"
#include "sandbox/cgroups/cgroups.h"
#include "sandbox/rootfs/uppers.h"

namespace cloister::launcher {

class Posture {
 public:
  [[nodiscard]] static Posture detect(const cgroups::Tree& groups, const rootfs::Uppers& uppers,
                                      const Status& appArmor);
  [[nodiscard]] const PostureReply& reply() const { return reply_; }

 private:
  PostureReply reply_;
};

}  // namespace cloister::launcher
