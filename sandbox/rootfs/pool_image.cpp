#include "sandbox/rootfs/pool_image.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <vector>

#include "sandbox/base/files.h"
#include "sandbox/base/loop_device.h"
#include "sandbox/base/mounts.h"

namespace cloister::rootfs {
namespace {

constexpr std::string_view kStage = "pool";

std::string liveCopy(const std::string& image) {
  return image + ".live";
}

// Copies what is no hole of `from` into the empty file `to`.
Status copySparse(int from, int to, const std::string& name) {
  struct stat info {};
  if (::fstat(from, &info) != 0) return errnoError(kStage, "fstat", name);
  if (::ftruncate(to, info.st_size) != 0) return errnoError(kStage, "ftruncate", name);
  std::vector<char> buffer(1U << 20U);
  for (off_t at = 0; at < info.st_size;) {
    at = ::lseek(from, at, SEEK_DATA);
    if (at < 0 && errno == ENXIO) return {};
    if (at < 0) return errnoError(kStage, "seek", name);
    const off_t hole = ::lseek(from, at, SEEK_HOLE);
    if (hole < 0) return errnoError(kStage, "seek", name);
    while (at < hole) {
      const auto most = std::min(buffer.size(), static_cast<std::size_t>(hole - at));
      const ssize_t got = ::pread(from, buffer.data(), most, at);
      if (got < 0 && errno == EINTR) continue;
      if (got <= 0) return errnoError(kStage, "read", name);
      if (::lseek(to, at, SEEK_SET) < 0) return errnoError(kStage, "seek", name);
      if (auto wrote = files::writeAll(to, {buffer.data(), static_cast<std::size_t>(got)}); !wrote) return wrote;
      at += got;
    }
  }
  return {};
}

Status makeCopy(const std::string& image) {
  auto from = files::openAt(AT_FDCWD, image, O_RDONLY);
  if (!from) return from.error();
  const std::string temporary = liveCopy(image) + ".new";
  ::unlink(temporary.c_str());
  auto to = files::openAt(AT_FDCWD, temporary, O_RDWR | O_CREAT | O_EXCL, files::Resolve::anywhere, 0600);
  if (!to) return to.error();
  Status done = copySparse(from->get(), to->get(), image);
  if (done && ::rename(temporary.c_str(), liveCopy(image).c_str()) != 0) done = errnoError(kStage, "rename", temporary);
  if (!done) ::unlink(temporary.c_str());
  return done;
}

Result<loop::Device> findOrAttach(const std::string& image) {
  const std::string copy = liveCopy(image);
  auto last = files::openAt(AT_FDCWD, copy, O_RDWR);
  if (!last && last.error().code != ENOENT) return last.error();
  if (last) {
    auto found = loop::find(last->get(), loop::Access::readWrite);
    if (found || found.error().code != ENOENT) return found;
  }
  if (auto made = makeCopy(image); !made) return made.error();
  auto fresh = files::openAt(AT_FDCWD, copy, O_RDWR);
  if (!fresh) return fresh.error();
  return loop::attach(fresh->get(), loop::Access::readWrite);
}

}  // namespace

Result<UniqueFd> mountPool(const std::string& image, std::uint64_t attributes) {
  auto device = findOrAttach(image);
  if (!device) return device.error();
  // No barriers: a tenant's fsync need not reach the host's disk for files that a crash takes anyway.
  auto mounted = mounts::make(
      "ext4", {{"source", device->path}, {"prjquota", ""}, {"nobarrier", ""}, {"noinit_itable", ""}}, attributes);
  if (!mounted && mounted.error().code == EINVAL) {
    return Error{std::string(kStage), "mount ext4 with project quotas", image, EINVAL};
  }
  return mounted;
}

Status discardPool(const std::string& image) {
  if (::unlink(liveCopy(image).c_str()) != 0 && errno != ENOENT) return errnoError(kStage, "unlink", image);
  return {};
}

}  // namespace cloister::rootfs
