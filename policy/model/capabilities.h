// Which capabilities a confinement class and the launcher keep, in bounding, permitted and effective sets. Each entry
// says why.
//
// A class's act in the container's own user namespace only: over the tenant's 65,536 ids and namespaces, never over the
// host. The launcher's are the host's; cloister-node and cloisterd keep none. Threads and failures: constants.
#pragma once

#include <linux/capability.h>

#include <array>
#include <span>
#include <string_view>

#include "sandbox/base/launcher_protocol.h"

namespace cloister::policy {

struct Capability {
  unsigned number = 0;
  std::string_view name;  // as AppArmor spells it
  std::string_view reason;
};

// A file's capabilities and set-uid bits give nobody anything: every mount is nosuid and every process no_new_privs.
// No CAP_MKNOD, CAP_NET_*, CAP_SYS_ADMIN, CAP_SYS_PTRACE, CAP_SETPCAP: no package manager or compiler needs them.
inline constexpr std::array kBuildCapabilities = {
    Capability{CAP_CHOWN, "chown", "dpkg, tar and npm give files to the users that own them"},
    Capability{CAP_DAC_OVERRIDE, "dac_override", "package scripts as root write into directories of other users"},
    Capability{CAP_FOWNER, "fowner", "dpkg and apt set modes and times of files that _apt and others own"},
    Capability{CAP_FSETID, "fsetid", "set-group-id directories keep their bit when a package writes into them"},
    Capability{CAP_KILL, "kill", "apt ends its download methods, which run as _apt"},
    Capability{CAP_SETFCAP, "setfcap", "setcap of maintainer scripts and of manuals ends well; its mark gives nothing"},
    Capability{CAP_SETGID, "setgid", "apt drops to _apt's group, maintainer scripts use su and runuser"},
    Capability{CAP_SETUID, "setuid", "apt drops to _apt, maintainer scripts use su and runuser"},
    Capability{CAP_SYS_CHROOT, "sys_chroot", "dpkg --root and maintainer scripts that chroot"},
};

inline constexpr std::array kFreezeCapabilities = {
    Capability{CAP_DAC_READ_SEARCH, "dac_read_search", "mkfs.erofs reads every file of the build, whoever owns it"},
};

inline constexpr std::array kLauncherCapabilities = {
    Capability{CAP_CHOWN, "chown", "uppers belong to the tenant's root"},
    Capability{CAP_DAC_OVERRIDE, "dac_override", "delegated cgroup files, directories that belong to a tenant"},
    Capability{CAP_KILL, "kill", "signals to containers, whose user namespaces are their tenants' own"},
    Capability{CAP_SETGID, "setgid", "gid maps of tenants' ranges"},
    Capability{CAP_SETUID, "setuid", "uid maps of tenants' ranges; user namespaces in their names"},
    Capability{CAP_SETPCAP, "setpcap", "its own bounding set"},
    Capability{CAP_NET_ADMIN, "net_admin", "links, addresses, nftables"},
    Capability{CAP_SYS_ADMIN, "sys_admin", "namespaces, mounts, loop devices"},
    Capability{CAP_SYS_PTRACE, "sys_ptrace",
               "namespaces of a child that still shares this undumpable process's memory"},
    Capability{CAP_MAC_ADMIN, "mac_admin", "AppArmor profiles of tenants"},
};

// Held while the launcher starts, gone before its first request.
inline constexpr std::array kLauncherStartCapabilities = {
    Capability{CAP_SYSLOG, "syslog", "opening the kernel's log, for AppArmor's denials"},
};

namespace detail {
template <std::size_t N>
constexpr std::array<unsigned, N> numbersOf(const std::array<Capability, N>& list) {
  std::array<unsigned, N> numbers{};
  for (std::size_t i = 0; i < N; ++i) numbers[i] = list[i].number;
  return numbers;
}
inline constexpr auto kBuildNumbers = numbersOf(kBuildCapabilities);
inline constexpr auto kFreezeNumbers = numbersOf(kFreezeCapabilities);
inline constexpr auto kLauncherNumbers = numbersOf(kLauncherCapabilities);
}  // namespace detail

[[nodiscard]] constexpr std::span<const Capability> capabilityList(launcher::Confinement confinement) {
  switch (confinement) {
    case launcher::Confinement::build:
      return kBuildCapabilities;
    case launcher::Confinement::freeze:
      return kFreezeCapabilities;
    case launcher::Confinement::app:
    case launcher::Confinement::exec:
      break;
  }
  return {};
}

// Capability numbers as in capabilities(7).
[[nodiscard]] constexpr std::span<const unsigned> capabilitiesOf(launcher::Confinement confinement) {
  switch (confinement) {
    case launcher::Confinement::build:
      return detail::kBuildNumbers;
    case launcher::Confinement::freeze:
      return detail::kFreezeNumbers;
    case launcher::Confinement::app:
    case launcher::Confinement::exec:
      break;
  }
  return {};
}

// Those that cloister-launcher keeps once it serves.
[[nodiscard]] constexpr std::span<const unsigned> launcherCapabilities() {
  return detail::kLauncherNumbers;
}

}  // namespace cloister::policy
