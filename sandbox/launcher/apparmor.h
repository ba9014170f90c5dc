// AppArmor: loads the compiled profiles of our confinement classes into the kernel, through libapparmor.
//
// `directory` holds one file a class, named like its profile (policy::appArmorProfileName), as apparmor_parser wrote it
// from the text that `cloister-launcher --print-profile CLASS` prints. Loading replaces an older version in place.
// Threads: call once at start. Failures: ENOSYS-like codes mean that this kernel has no AppArmor; the launcher then
// starts containers without it and its posture says so. Any other failure, a missing file included, is final for the
// launcher.
#pragma once

#include <string>

#include "sandbox/base/result.h"

namespace cloister::launcher {

// False when the kernel was built or booted without AppArmor.
[[nodiscard]] bool appArmorEnabled();
[[nodiscard]] Status loadAppArmorProfiles(const std::string& directory);

}  // namespace cloister::launcher
