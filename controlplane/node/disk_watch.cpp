#include "controlplane/node/disk_watch.h"

#include "controlplane/node/mebibytes.h"

namespace cloister::node {
namespace {

// Less than a block or two: a write of ordinary size fails.
constexpr std::uint64_t kFullBytes = 8UL * 1024;
constexpr std::uint64_t kRoom = 20;  // a twentieth of the limit is room again

}  // namespace

std::optional<std::string> DiskWatch::look(const streams::Space& space, const model::InstanceLimits& limits) {
  const bool bytes = space.freeBytes < kFullBytes;
  const bool files = space.freeInodes == 0;
  if (!bytes && !files) {
    if (space.freeBytes >= limits.diskBytes / kRoom && space.freeInodes >= limits.inodes / kRoom) full_ = false;
    return std::nullopt;
  }
  if (full_) return std::nullopt;
  full_ = true;
  if (bytes) return "its disk of " + mebibytes(limits.diskBytes) + " is full";
  return "its disk has all of its " + std::to_string(limits.inodes) + " files and directories";
}

}  // namespace cloister::node
