// The Landlock rules of a container: a second wall behind the mounts, which still stands if one was forgotten.
//
// Everything is readable and executable beneath "/". An app and a build write where owners and modes let them, wherever
// that lies: a release decides what belongs to its user, and a program finds what it would on any Linux. What no mode
// opens: device nodes are made by nobody, and devices are spoken to in /dev alone. A container whose writes are listed
// (launcher_protocol.h) writes below the listed directories, and in those that every program needs: /dev, /run, /tmp,
// /var/tmp. Signals and abstract sockets are not scoped here, because the pid and network namespaces do that and `exec`
// must reach the app. Threads and failures: pure values.
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "sandbox/base/launcher_protocol.h"

namespace cloister::policy {

// LANDLOCK_ACCESS_FS_*, also those that the build machine's headers are too old for.
namespace landlock_access {
inline constexpr std::uint64_t kExecute = 1U << 0U;
inline constexpr std::uint64_t kWriteFile = 1U << 1U;
inline constexpr std::uint64_t kReadFile = 1U << 2U;
inline constexpr std::uint64_t kReadDirectory = 1U << 3U;
inline constexpr std::uint64_t kRemoveDirectory = 1U << 4U;
inline constexpr std::uint64_t kRemoveFile = 1U << 5U;
inline constexpr std::uint64_t kMakeCharacter = 1U << 6U;
inline constexpr std::uint64_t kMakeDirectory = 1U << 7U;
inline constexpr std::uint64_t kMakeRegular = 1U << 8U;
inline constexpr std::uint64_t kMakeSocket = 1U << 9U;
inline constexpr std::uint64_t kMakeFifo = 1U << 10U;
inline constexpr std::uint64_t kMakeBlock = 1U << 11U;
inline constexpr std::uint64_t kMakeSymlink = 1U << 12U;
inline constexpr std::uint64_t kRefer = 1U << 13U;        // since ABI 2
inline constexpr std::uint64_t kTruncate = 1U << 14U;     // since ABI 3
inline constexpr std::uint64_t kDeviceIoctl = 1U << 15U;  // since ABI 5
}  // namespace landlock_access

// What a process may do with the files behind its standard descriptors when it opens them again, as /dev/stdout.
inline constexpr std::uint64_t kLandlockReopen = landlock_access::kReadFile | landlock_access::kWriteFile |
                                                 landlock_access::kTruncate | landlock_access::kDeviceIoctl;

enum class Missing : std::uint8_t { passOver, fail };
struct LandlockPath {
  std::string_view path;
  std::uint64_t access = 0;
  Missing missing = Missing::passOver;  // what to do when it is not there
};

struct LandlockRules {
  std::uint64_t handled = 0;
  std::vector<LandlockPath> paths;
};

// What `listed` always has besides.
inline constexpr std::array<std::string_view, 4> kAlwaysWritable = {"/dev", "/run", "/tmp", "/var/tmp"};

// Every right that a kernel of this ABI (at least 1) can handle.
[[nodiscard]] std::uint64_t landlockHandled(int abi);
// `access` of each path is within `handled`, as the kernel demands. `writable`: of a container whose writes are listed;
// the rules refer to it. The other classes have no such list.
[[nodiscard]] LandlockRules landlockRules(launcher::Confinement confinement, int abi,
                                          launcher::Writes writes = launcher::Writes::byMode,
                                          const std::vector<std::string>& writable = {});

}  // namespace cloister::policy
