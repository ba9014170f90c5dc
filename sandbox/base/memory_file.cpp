#include "sandbox/base/memory_file.h"

#include <sys/mman.h>
#include <unistd.h>

#include <array>
#include <cerrno>

namespace cloister::memory_file {
namespace {

constexpr std::string_view kStage = "memory file";

}  // namespace

Result<UniqueFd> make(std::string_view name) {
  UniqueFd fd(::memfd_create(std::string(name).c_str(), MFD_CLOEXEC));
  if (!fd) return errnoError(kStage, "memfd_create", name);
  return fd;
}

Result<std::string> contents(int fd, std::size_t limit) {
  std::string bytes;
  std::array<char, 16384> buffer{};
  for (;;) {
    const ssize_t got = ::pread(fd, buffer.data(), buffer.size(), static_cast<off_t>(bytes.size()));
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return errnoError(kStage, "pread");
    if (got == 0) return bytes;
    bytes.append(buffer.data(), static_cast<std::size_t>(got));
    if (bytes.size() > limit) return Error{std::string(kStage), "pread", "", EFBIG};
  }
}

}  // namespace cloister::memory_file
