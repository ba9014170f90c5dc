#include "policy/model/landlock.h"

#include <linux/landlock.h>

namespace cloister::policy {
namespace {

// Bits that Debian 12's headers do not name yet.
constexpr std::uint64_t kRefer = 1ULL << 13U;     // ABI 2
constexpr std::uint64_t kTruncate = 1ULL << 14U;  // ABI 3
constexpr std::uint64_t kIoctlDev = 1ULL << 15U;  // ABI 5

constexpr std::uint64_t kRead = LANDLOCK_ACCESS_FS_EXECUTE | LANDLOCK_ACCESS_FS_READ_FILE | LANDLOCK_ACCESS_FS_READ_DIR;
constexpr std::uint64_t kDevices = LANDLOCK_ACCESS_FS_MAKE_CHAR | LANDLOCK_ACCESS_FS_MAKE_BLOCK;

std::uint64_t known(int abi) {
  std::uint64_t rights = (1ULL << 13U) - 1;
  if (abi >= 2) rights |= kRefer;
  if (abi >= 3) rights |= kTruncate;
  if (abi >= 5) rights |= kIoctlDev;
  return rights;
}

}  // namespace

LandlockRules landlockRules(launcher::Confinement confinement, int abi) {
  LandlockRules rules;
  rules.handled = known(abi);
  const std::uint64_t write = rules.handled & ~kDevices;
  if (confinement == launcher::Confinement::build || confinement == launcher::Confinement::freeze) {
    rules.paths.push_back({"/", write});
    return rules;
  }
  // Renaming between two directories needs REFER on both, and on what lies above neither.
  rules.paths.push_back({"/", kRead});
  for (const char* path : {"/app", "/tmp", "/var", "/run", "/home", "/srv", "/opt", "/dev", "/proc"}) {
    rules.paths.push_back({path, write});
  }
  return rules;
}

}  // namespace cloister::policy
