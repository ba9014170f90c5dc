#include "sandbox/base/loop_device.h"

#include <fcntl.h>
#include <linux/loop.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdint>

#include "sandbox/base/files.h"

namespace cloister::loop {
namespace {

constexpr std::string_view kStage = "loop";
constexpr std::uint32_t kBlock = 4096;
constexpr int kAttempts = 64;  // another process may win a free number

int openFlags(Access access) {
  return access == Access::readOnly ? O_RDONLY : O_RDWR;
}

}  // namespace

Result<Device> attach(int file, Access access) {
  auto control = files::openAt(AT_FDCWD, "/dev/loop-control", O_RDWR);
  if (!control) return control.error();
  loop_config config{};
  config.fd = static_cast<unsigned>(file);
  config.info.lo_flags = LO_FLAGS_AUTOCLEAR;
  if (access == Access::readOnly) {
    config.info.lo_flags |= LO_FLAGS_READ_ONLY;
  } else {
    // Past the host's page cache, where its file system can: the device has a cache of its own.
    config.info.lo_flags |= LO_FLAGS_DIRECT_IO;
    config.block_size = kBlock;
  }
  for (int attempt = 0; attempt < kAttempts; ++attempt) {
    const int number = ::ioctl(control->get(), LOOP_CTL_GET_FREE);
    if (number < 0) return errnoError(kStage, "LOOP_CTL_GET_FREE", "/dev/loop-control");
    Device device{"/dev/loop" + std::to_string(number), {}};
    auto opened = files::openAt(AT_FDCWD, device.path, openFlags(access));
    if (!opened) return opened.error();
    if (::ioctl(opened->get(), LOOP_CONFIGURE, &config) == 0) {
      device.keep = std::move(*opened);
      return device;
    }
    if (errno != EBUSY) return errnoError(kStage, "LOOP_CONFIGURE", device.path);
  }
  return Error{std::string(kStage), "LOOP_CONFIGURE", "", EBUSY};
}

Result<Device> find(int file, Access access) {
  struct stat wanted {};
  if (::fstat(file, &wanted) != 0) return errnoError(kStage, "fstat");
  auto names = files::names("/sys/block");
  if (!names) return names.error();
  for (const auto& name : *names) {
    // Bound devices alone have this directory; opening the others would keep them busy for nothing.
    if (!name.starts_with("loop") || ::access(("/sys/block/" + name + "/loop").c_str(), F_OK) != 0) continue;
    Device device{"/dev/" + name, {}};
    auto opened = files::openAt(AT_FDCWD, device.path, openFlags(access));
    if (!opened) continue;
    // Asked of the open device: from here on it cannot be given to another file.
    loop_info64 info{};
    if (::ioctl(opened->get(), LOOP_GET_STATUS64, &info) != 0) continue;
    if (info.lo_device != wanted.st_dev || info.lo_inode != wanted.st_ino) continue;
    device.keep = std::move(*opened);
    return device;
  }
  return Error{std::string(kStage), "find", "", ENOENT};
}

}  // namespace cloister::loop
