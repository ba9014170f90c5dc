// AppArmor profiles as text, one a confinement class, from policy/profiles/apparmor.template.
//
// Threads and failures: pure functions.
#pragma once

#include <string>

#include "sandbox/base/launcher_protocol.h"

namespace cloister::policy {

// "cloister-app", "cloister-build", "cloister-exec", "cloister-freeze"
[[nodiscard]] std::string appArmorProfileName(launcher::Confinement confinement);
// The input of apparmor_parser.
[[nodiscard]] std::string appArmorProfile(launcher::Confinement confinement);

}  // namespace cloister::policy
