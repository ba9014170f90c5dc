// A container's view of the kernel: the covers over /proc and the files that stand in for what the kernel would tell.
// cloister-init keeps some of them true afterwards (sandbox/base/live_views.h).
//
// Made once by the launcher, from this kernel's own /proc and policy/model/kernel_views.h; the texts once a container.
// Threads: immutable after open(). Failures: Error{stage "rootfs", operation, path, errno}.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "sandbox/base/result.h"

namespace cloister::rootfs {

// What a container may use. Zero memory or CPU: the whole machine's.
struct Capacity {
  std::uint64_t memoryBytes = 0;
  std::uint64_t cpuMillis = 0;
};

struct OwnFile {
  std::string name;  // below /proc
  std::string text;
};

class KernelViews {
 public:
  enum class Shape { file, directory };
  struct Cover {
    std::string name;  // below /proc
    Shape shape = Shape::file;
  };
  // `proc`: where a procfs is mounted.
  [[nodiscard]] static Result<KernelViews> open(const std::string& proc);

  [[nodiscard]] const std::vector<Cover>& covers() const { return covers_; }
  [[nodiscard]] std::vector<OwnFile> files(const Capacity& capacity) const;
  [[nodiscard]] std::uint64_t processorCount(const Capacity& capacity) const;

 private:
  std::vector<Cover> covers_;
  std::vector<std::string> processor_;  // lines of one processor in cpuinfo, without those that count processors
  std::string version_;
  std::string mostFiles_;
  std::uint64_t hostMemory_ = 0;
  std::uint64_t hostProcessors_ = 0;
};

}  // namespace cloister::rootfs
