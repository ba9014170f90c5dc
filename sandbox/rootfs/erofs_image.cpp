#include "sandbox/rootfs/erofs_image.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <cerrno>

#include "sandbox/base/files.h"
#include "sandbox/base/loop_device.h"
#include "sandbox/base/mounts.h"

namespace cloister::rootfs {
namespace {

constexpr off_t kSuperblock = 1024;
constexpr std::size_t kSuperblockSize = 128;
constexpr std::uint32_t kMagic = 0xE0F5E1E2;
constexpr std::uint32_t kChecksummed = 1;       // compatible
constexpr std::uint32_t kZeroPadding = 1;       // incompatible: LZ4 as all kernels since 5.3 read it
constexpr std::uint32_t kCompressionSetup = 2;  // incompatible: the algorithms stand in the superblock
constexpr std::uint32_t kLz4 = 1;
constexpr unsigned kBlockBits = 12;

using Superblock = std::array<unsigned char, kSuperblockSize>;

std::uint32_t number(const Superblock& block, std::size_t at, std::size_t bytes) {
  std::uint32_t value = 0;
  for (std::size_t i = 0; i < bytes; ++i) value |= static_cast<std::uint32_t>(block.at(at + i)) << (8 * i);
  return value;
}

}  // namespace

Status checkErofs(int file, const std::string& name) {
  const auto refuse = [&](const char* why) { return Error{"layer", std::string("check image: ") + why, name, EPROTO}; };
  Superblock block{};
  const ssize_t got = ::pread(file, block.data(), block.size(), kSuperblock);
  if (got < 0) return errnoError("layer", "read superblock", name);
  struct stat info {};
  if (::fstat(file, &info) != 0) return errnoError("layer", "fstat", name);
  if (static_cast<std::size_t>(got) != block.size() || number(block, 0, 4) != kMagic) return refuse("not erofs");
  if ((number(block, 8, 4) & kChecksummed) == 0) return refuse("no checksum");
  if (number(block, 12, 1) != kBlockBits) return refuse("blocks are not of 4 KiB");
  if (static_cast<off_t>(number(block, 36, 4)) << kBlockBits != info.st_size) return refuse("not its own length");
  const std::uint32_t features = number(block, 80, 4);
  if ((features & ~(kZeroPadding | kCompressionSetup)) != 0) return refuse("unknown features");
  if ((features & kCompressionSetup) != 0 && number(block, 84, 2) != kLz4) return refuse("compressed, and not by LZ4");
  if (number(block, 86, 2) != 0) return refuse("data on other devices");
  return {};
}

Result<UniqueFd> mountErofs(const std::string& path, std::uint64_t attributes) {
  auto direct = mounts::make("erofs", {{"source", path}, {"ro", ""}}, attributes);
  if (direct || direct.error().code != ENOTBLK) return direct;
  auto image = files::openAt(AT_FDCWD, path, O_RDONLY);
  if (!image) return image.error();
  auto device = loop::attach(image->get(), loop::Access::readOnly);
  if (!device) return device.error();
  return mounts::make("erofs", {{"source", device->path}, {"ro", ""}}, attributes);
}

}  // namespace cloister::rootfs
