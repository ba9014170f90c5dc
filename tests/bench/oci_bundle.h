// An OCI bundle of busybox `true` for runc and crun: as bare as they start anything, or with what our launches have:
// limits, the app class's filter as libseccomp takes it, the covers over /proc, rlimits, the pseudo file systems.
//
// What OCI or libseccomp cannot say is left out, in the rival's favour: the time namespace, a written upper, own texts
// in /proc, Landlock, answered calls, and denials of a call that is allowed otherwise. Threads: pure functions but for
// one look at /proc. Failures: none.
#pragma once

#include <string>

namespace cloister::bench {

enum class Bundle { bare, confined };

struct BundlePlaces {
  std::string rootfs;
  std::string cgroupsPath;
};
// The text of config.json (runtime-spec 1.0.2).
[[nodiscard]] std::string ociConfig(Bundle bundle, const BundlePlaces& places);

}  // namespace cloister::bench
