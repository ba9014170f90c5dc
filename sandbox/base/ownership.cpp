#include "sandbox/base/ownership.h"

#include <sys/stat.h>

#include <cerrno>
#include <string>

namespace cloister::files {
namespace {

constexpr const char* kStage = "ownership";

}  // namespace

Status rootsAlone(std::string_view path) {
  constexpr mode_t kOthersWrite = S_IWGRP | S_IWOTH;
  if (!path.starts_with('/')) return Error{kStage, "look for a leading / in", std::string(path), EINVAL};
  for (std::size_t end = 1;; end = path.find('/', end + 1)) {
    const bool last = end >= path.size();
    const std::string part(path.substr(0, end));
    struct stat status {};
    if (::lstat(part.c_str(), &status) != 0) return errnoError(kStage, "lstat", part);
    const auto refuse = [&part](const char* what) { return Error{kStage, what, part, EPERM}; };
    if (!S_ISDIR(status.st_mode)) return refuse("check that root alone decides: no directory");
    if (status.st_uid != 0) return refuse("check that root alone decides: another user's");
    if ((status.st_mode & kOthersWrite) != 0 && (last || (status.st_mode & S_ISVTX) == 0)) {
      return refuse("check that root alone decides: others may write in it");
    }
    if (last) return {};
  }
}

}  // namespace cloister::files
