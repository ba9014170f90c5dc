#include "sandbox/base/own_confinement.h"

#include <linux/capability.h>
#include <sys/prctl.h>

#include <cerrno>
#include <string>
#include <vector>

#include "sandbox/base/process.h"

namespace cloister::process {
namespace {

constexpr std::string_view kStage = "confine";

}  // namespace

Status confineSelf(std::span<const unsigned> keep, std::span<const sock_filter> filter) {
  if (filter.empty()) return Error{std::string(kStage), "filter", "", ENOENT};
  if (::prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) != 0) return errnoError(kStage, "dumpable");
  if (::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0) return errnoError(kStage, "no_new_privs");
  // Without the right to narrow the bounding set there is nothing in it that no_new_privs lets a program have.
  auto bounded = boundCapabilities(keep);
  if (!bounded && bounded.error().code != EPERM) return bounded;
  if (auto done = setCapabilities(keep); !done) return done;
  return installFilter(filter.data(), filter.size());
}

}  // namespace cloister::process
