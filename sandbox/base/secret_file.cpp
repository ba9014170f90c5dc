#include "sandbox/base/secret_file.h"

#include <sys/stat.h>

#include <cerrno>

#include "sandbox/base/files.h"

namespace cloister::files {
namespace {

constexpr const char* kStage = "secret file";

}  // namespace

Result<std::string> secretFile(const std::string& path, std::string_view fresh) {
  struct stat status {};
  if (::stat(path.c_str(), &status) != 0) {
    if (errno != ENOENT) return errnoError(kStage, "stat", path);
    if (auto written = replace(path, fresh, 0600); !written) return written.error();
    return std::string(fresh);
  }
  if ((status.st_mode & 0077U) != 0)
    return Error{kStage, "others than its owner may read it; its mode must be 0600", path, EPERM};
  auto bytes = read(path, fresh.size());
  if (bytes && bytes->size() != fresh.size()) return Error{kStage, "is no key", path, EBADMSG};
  return bytes;
}

}  // namespace cloister::files
