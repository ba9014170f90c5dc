// A seccomp profile file (policy/profiles/*.toml) as values. Never linked into the launcher.
//
//   name = "app"            must be the file's class
//   inherits = "other"      optional: the other class's rules come too; a call that this file names is this file's
//   alone
//   children = ["a", "b"]   optional: what any of these classes allows is allowed too, because processes of those
//   classes are started under this filter, and of two filters the stricter answer counts
//   [[allow]]  reason, calls, and at most one of
//              when = [{argument = 0, mask = 0xffffffff, equals = 1}, ...]     all must hold; `any = [1, 2]` in the
//                                                                              place of `equals`: one of these
//              argument = 1, values = [..], mask = 0xffffffff                  any of these; the mask may be left out
//   [[deny]]   the same, and errno = "EPERM" | "ENOSYS" | "EAFNOSUPPORT" | "ENOTTY" | "EINVAL" | "ENOMEM" |
//              "EOPNOTSUPP" | "ENOPROTOOPT", or "NONE": success, and the kernel is not asked
//
// With tests, a denial comes before what is allowed; without, after it (seccomp.h). An unknown key is an error, so that
// a misspelt test cannot widen a rule; so is a call that x86_64 does not have. Threads: pure functions. Failures:
// Error{stage "profile", operation = what is wrong, path = "file: key", EINVAL}.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "policy/model/seccomp.h"

namespace cloister::policy {

struct ProfileRule {
  std::string call;
  unsigned number = 0;
  int denyErrno = 0;
  std::vector<ArgumentTest> tests;
  std::string reason;
};
struct ProfileFile {
  std::string name;
  std::string inherits;
  std::vector<std::string> children;
  std::vector<ProfileRule> rules;
};

[[nodiscard]] Result<ProfileFile> parseProfile(std::string_view text, std::string_view file);
// `child` with those rules of `parent` whose calls it does not name.
[[nodiscard]] ProfileFile inheritProfile(const ProfileFile& parent, const ProfileFile& child);
// `profile` with whatever `child` allows. Of its denials nothing comes along: they bind the child through its own
// filter.
[[nodiscard]] ProfileFile admitChild(const ProfileFile& profile, const ProfileFile& child);

}  // namespace cloister::policy
