// A seccomp profile file (policy/profiles/*.toml) as values. Never linked into the launcher.
//
//   name = "app"            must be the file's class
//   inherits = "other"      optional: the other class's rules come too; an [[allow]] here replaces its [[deny]] of that call
//   [[allow]]  reason, calls, and at most one of
//              when = [{argument = 0, mask = 0xffffffff, equals = 1}, ...]     all must hold
//              argument = 1, values = [..]                                     any of these, compared on 32 bits
//   [[deny]]   reason, calls, errno = "EPERM" | "ENOSYS" | "EAFNOSUPPORT"
//
// Threads: pure functions. Failures: Error{stage "profile", operation = what is wrong, path = "file: key", EINVAL}.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "policy/model/seccomp.h"

namespace cloister::policy {

struct ProfileRule {
  std::string call;
  int denyErrno = 0;
  std::vector<ArgumentTest> tests;
  std::string reason;
};
struct ProfileFile {
  std::string name;
  std::string inherits;
  std::vector<ProfileRule> rules;
};

[[nodiscard]] Result<ProfileFile> parseProfile(std::string_view text, std::string_view file);
// `child` with the rules of `parent` underneath.
[[nodiscard]] ProfileFile inheritProfile(const ProfileFile& parent, const ProfileFile& child);

}  // namespace cloister::policy
