#include "sandbox/base/files.h"

#include <dirent.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <cerrno>
#include <cstdio>
#include <memory>

namespace cloister::files {
namespace {

constexpr std::string_view kStage = "files";

std::uint64_t resolveFlags(Resolve resolve) {
  switch (resolve) {
    case Resolve::anywhere:
      return 0;
    case Resolve::beneath:
      return RESOLVE_BENEATH | RESOLVE_NO_MAGICLINKS;
    case Resolve::inRoot:
      return RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS;
    case Resolve::noSymlinks:
      return RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS | RESOLVE_NO_SYMLINKS;
  }
  return RESOLVE_BENEATH | RESOLVE_NO_MAGICLINKS | RESOLVE_NO_SYMLINKS;
}

}  // namespace

Result<UniqueFd> openAt(int dir, std::string_view path, int flags, Resolve resolve, mode_t mode) {
  const std::string name(path);
  open_how how{};
  how.flags = static_cast<std::uint64_t>(static_cast<unsigned>(flags | O_CLOEXEC));
  how.mode = (flags & (O_CREAT | O_TMPFILE)) != 0 ? mode : 0;
  how.resolve = resolveFlags(resolve);
  long fd = -1;
  do {
    fd = ::syscall(SYS_openat2, dir, name.c_str(), &how, sizeof how);
  } while (fd < 0 && (errno == EINTR || errno == EAGAIN));
  if (fd < 0 && errno == ENOSYS && resolve == Resolve::anywhere) {
    fd = ::openat(dir, name.c_str(), flags | O_CLOEXEC, mode);
  }
  if (fd < 0) return errnoError(kStage, "open", path);
  return UniqueFd(static_cast<int>(fd));
}

Result<UniqueFd> openDirectory(std::string_view path) {
  return openAt(AT_FDCWD, path, O_RDONLY | O_DIRECTORY);
}

Result<std::string> read(int dir, std::string_view path, std::size_t limit) {
  auto fd = openAt(dir, path, O_RDONLY);
  if (!fd) return fd.error();
  std::string text;
  std::array<char, 16384> buffer{};
  for (;;) {
    const ssize_t got = ::read(fd->get(), buffer.data(), buffer.size());
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return errnoError(kStage, "read", path);
    if (got == 0) return text;
    text.append(buffer.data(), static_cast<std::size_t>(got));
    if (text.size() > limit) return Error{std::string(kStage), "read", std::string(path), EFBIG};
  }
}

Result<std::string> read(std::string_view path, std::size_t limit) {
  return read(AT_FDCWD, path, limit);
}

Result<std::vector<std::string>> names(std::string_view directory) {
  auto fd = openDirectory(directory);
  if (!fd) return fd.error();
  const std::unique_ptr<DIR, int (*)(DIR*)> stream(::fdopendir(fd->get()), ::closedir);
  if (!stream) return errnoError(kStage, "fdopendir", directory);
  (void)fd->release();
  std::vector<std::string> found;
  for (;;) {
    errno = 0;
    const dirent* entry = ::readdir(stream.get());  // NOLINT(concurrency-mt-unsafe): the stream is ours alone
    if (entry == nullptr) break;
    const std::string_view name(entry->d_name);
    if (name != "." && name != "..") found.emplace_back(name);
  }
  if (errno != 0) return errnoError(kStage, "readdir", directory);
  return found;
}

Status writeControl(int dir, std::string_view path, std::string_view text) {
  auto fd = openAt(dir, path, O_WRONLY);
  if (!fd) return fd.error();
  ssize_t wrote = -1;
  do {
    wrote = ::write(fd->get(), text.data(), text.size());
  } while (wrote < 0 && errno == EINTR);
  if (wrote < 0) return errnoError(kStage, "write", path);
  if (static_cast<std::size_t>(wrote) != text.size())
    return Error{std::string(kStage), "write", std::string(path), EIO};
  return {};
}

Status writeControl(std::string_view path, std::string_view text) {
  return writeControl(AT_FDCWD, path, text);
}

Status writeAll(int fd, std::string_view data) {
  while (!data.empty()) {
    const ssize_t wrote = ::write(fd, data.data(), data.size());
    if (wrote < 0 && errno == EINTR) continue;
    if (wrote < 0) return errnoError(kStage, "write");
    data.remove_prefix(static_cast<std::size_t>(wrote));
  }
  return {};
}

Status replace(std::string_view path, std::string_view text, mode_t mode) {
  static std::atomic<unsigned> serial{0};
  const std::string target(path);
  const std::string temporary = target + ".new." + std::to_string(::getpid()) + "." + std::to_string(serial++);
  auto fd = openAt(AT_FDCWD, temporary, O_WRONLY | O_CREAT | O_EXCL, Resolve::anywhere, mode);
  if (!fd) return fd.error();
  Status done = writeAll(fd->get(), text);
  if (done && ::fchmod(fd->get(), mode) != 0) done = errnoError(kStage, "fchmod", temporary);
  if (done && ::fsync(fd->get()) != 0) done = errnoError(kStage, "fsync", temporary);
  if (done && ::rename(temporary.c_str(), target.c_str()) != 0) done = errnoError(kStage, "rename", target);
  if (!done) {
    ::unlink(temporary.c_str());
    return done;
  }
  const auto slash = target.rfind('/');
  auto dir = openDirectory(slash == std::string::npos ? "." : target.substr(0, slash + 1));
  if (!dir) return dir.error();
  if (::fsync(dir->get()) != 0) return errnoError(kStage, "fsync", target);
  return {};
}

Status makeDirectories(std::string_view path, mode_t mode) {
  for (std::size_t end = path.find('/', 1);; end = path.find('/', end + 1)) {
    const std::string part(path.substr(0, end));
    if (!part.empty() && ::mkdir(part.c_str(), mode) != 0 && errno != EEXIST) return errnoError(kStage, "mkdir", part);
    if (end == std::string_view::npos) return {};
  }
}

}  // namespace cloister::files
