// An erofs image in a file: what we accept as one, and how it is mounted.
//
// mkfs.erofs of Debian makes them: blocks of 4 KiB, nothing or LZ4, a checksum over the superblock, one device.
// Whatever else the kernel's erofs can read is refused before it sees it. Read from the superblock, 1,024 bytes into
// the file, little-endian:
//
//   0  u32 magic 0xE0F5E1E2    12 u8 log2 of the block size      80 u32 incompatible features
//   8  u32 compatible features 36 u32 blocks of the image        84 u16 compression algorithms   86 u16 further devices
//
// Threads: reentrant. Failures: Error{stage "layer", operation, path = `name`, errno}; EPROTO: not such an image.
// Preconditions: CAP_SYS_ADMIN for mountErofs().
#pragma once

#include <cstdint>
#include <string>

#include "sandbox/base/result.h"
#include "sandbox/base/unique_fd.h"

namespace cloister::rootfs {

[[nodiscard]] Status checkErofs(int file, const std::string& name);

// A detached, read-only mount of the image at `path`: straight from the file where the kernel can (Linux 6.12), by a
// loop device elsewhere.
[[nodiscard]] Result<UniqueFd> mountErofs(const std::string& path, std::uint64_t attributes);

}  // namespace cloister::rootfs
