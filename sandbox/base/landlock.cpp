#include "sandbox/base/landlock.h"

#include <linux/landlock.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>

namespace cloister::landlock {
namespace {

constexpr std::string_view kStage = "landlock";
// EXECUTE, WRITE_FILE, READ_FILE, and TRUNCATE of ABI 3: all that a rule on a file may name.
constexpr std::uint64_t kFileRights =
    LANDLOCK_ACCESS_FS_EXECUTE | LANDLOCK_ACCESS_FS_WRITE_FILE | LANDLOCK_ACCESS_FS_READ_FILE | (1ULL << 14U);

}  // namespace

int abi() {
  const long version = ::syscall(SYS_landlock_create_ruleset, nullptr, 0, LANDLOCK_CREATE_RULESET_VERSION);
  return version < 0 ? 0 : static_cast<int>(version);
}

Result<UniqueFd> createRuleset(std::uint64_t handled) {
  landlock_ruleset_attr attributes{};
  attributes.handled_access_fs = handled;
  const long fd = ::syscall(SYS_landlock_create_ruleset, &attributes, sizeof attributes, 0);
  if (fd < 0) return errnoError(kStage, "create_ruleset");
  return UniqueFd(static_cast<int>(fd));
}

Status addPathBeneath(int ruleset, int path, std::uint64_t access) {
  struct stat info {};
  if (::fstat(path, &info) != 0) return errnoError(kStage, "fstat");
  landlock_path_beneath_attr rule{};
  rule.allowed_access = S_ISDIR(info.st_mode) ? access : access & kFileRights;
  rule.parent_fd = path;
  if (::syscall(SYS_landlock_add_rule, ruleset, LANDLOCK_RULE_PATH_BENEATH, &rule, 0) != 0)
    return errnoError(kStage, "add_rule");
  return {};
}

Status restrictSelf(int ruleset) {
  if (::syscall(SYS_landlock_restrict_self, ruleset, 0) != 0) return errnoError(kStage, "restrict_self");
  return {};
}

}  // namespace cloister::landlock
