#include "sandbox/base/counters.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <time.h>
#include <unistd.h>

#include <cerrno>

#include "sandbox/base/files.h"

namespace cloister::counters {
Result<std::string_view> readAgain(int fd, char* buffer, std::size_t capacity) {
  std::size_t used = 0;
  while (used < capacity) {
    const ssize_t got = ::pread(fd, buffer + used, capacity - used, static_cast<off_t>(used));
    if (got < 0) {
      if (errno == EINTR) continue;
      return errnoError("counters", "pread");
    }
    used += static_cast<std::size_t>(got);
    // Kernel interface files come whole in the first read; a short one is the end.
    if (got == 0 || used < capacity) break;
  }
  return std::string_view(buffer, used);
}

std::uint64_t bootNanos() {
  timespec time{};
  ::clock_gettime(CLOCK_BOOTTIME, &time);
  return static_cast<std::uint64_t>(time.tv_sec) * 1'000'000'000U + static_cast<std::uint64_t>(time.tv_nsec);
}

std::int64_t utcMicros() {
  timespec time{};
  ::clock_gettime(CLOCK_REALTIME, &time);
  return std::int64_t{time.tv_sec} * 1'000'000 + time.tv_nsec / 1000;
}

Result<std::string> bootId() {
  auto text = files::read("/proc/sys/kernel/random/boot_id", 128);
  if (!text) return text.error();
  auto id = std::move(text).value();
  while (!id.empty() && id.back() == '\n') id.pop_back();
  if (id.empty()) return Error{"counters", "boot id", "/proc/sys/kernel/random/boot_id", ENODATA};
  return id;
}

Result<DiskUse> diskUse(int fd) {
  struct statfs status {};
  if (::fstatfs(fd, &status) != 0) return errnoError("counters", "fstatfs");
  const auto unit = static_cast<std::uint64_t>(status.f_frsize > 0 ? status.f_frsize : status.f_bsize);
  if (status.f_bfree > status.f_blocks) return Error{"counters", "fstatfs", "", ERANGE};
  const bool noInodes = status.f_files > 0 && status.f_ffree == 0;  // some file systems do not count them
  return DiskUse{(status.f_blocks - status.f_bfree) * unit, status.f_bavail == 0 || noInodes};
}

Result<UniqueFd> duplicate(int fd) {
  UniqueFd copy(::fcntl(fd, F_DUPFD_CLOEXEC, 3));
  if (!copy) return errnoError("counters", "fcntl", "F_DUPFD_CLOEXEC");
  return copy;
}

Result<std::uint64_t> inodeOf(int fd) {
  struct stat status {};
  if (::fstat(fd, &status) != 0) return errnoError("counters", "fstat");
  return status.st_ino;
}

}  // namespace cloister::counters
