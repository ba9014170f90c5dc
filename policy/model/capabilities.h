// Which capabilities a confinement class keeps, inside its own user namespace only. Numbers as in capabilities(7).
//
// Threads and failures: constants; a class without an entry has none.
#pragma once

#include <linux/capability.h>

#include <array>
#include <span>

#include "sandbox/base/launcher_protocol.h"

namespace cloister::policy {

// A build is root of its container: dpkg, apt and npm change owners and modes and drop to users of their own.
inline constexpr std::array<unsigned, 8> kBuildCapabilities = {
    CAP_CHOWN,         // dpkg unpacks files of root, _apt, www-data ...
    CAP_DAC_OVERRIDE,  // root writes into directories of those users
    CAP_FOWNER,        // modes and times of their files
    CAP_FSETID,        // keeps set-id bits that a package asks for (the mount makes them mean nothing)
    CAP_SETGID,        // apt drops to _apt
    CAP_SETUID,        // likewise
    CAP_KILL,          // apt ends its own _apt children
    CAP_SYS_CHROOT,    // maintainer scripts that use chroot
};
// A freeze reads a whole upper, whatever its modes say.
inline constexpr std::array<unsigned, 1> kFreezeCapabilities = {CAP_DAC_READ_SEARCH};

[[nodiscard]] constexpr std::span<const unsigned> capabilitiesOf(launcher::Confinement confinement) {
  switch (confinement) {
    case launcher::Confinement::build: return kBuildCapabilities;
    case launcher::Confinement::freeze: return kFreezeCapabilities;
    case launcher::Confinement::app:
    case launcher::Confinement::exec: return {};
  }
  return {};
}

}  // namespace cloister::policy
