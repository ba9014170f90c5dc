// CgroupReader: the counters of one group (an instance's or a tenant's), through descriptors opened once.
//
// Layouts: v2 (only `unified` given: cpu.stat, memory.*, io.stat, pids.*) and hybrid (`cpuacct`, `cpu`, `memory`,
// `blkio`, `pids` v1 directories beside `unified`). CPU is the unified group's wherever it is: a process is born there
// (CLONE_INTO_CGROUP), so that nothing of it is left out, while into a v1 group it must first move itself and leaves
// what it spent until then to its parent's. cpuacct serves where there is no unified group. `upper` gives the disk in
// use. A file that is missing, or whose group is gone (ENODEV), leaves its field absent; read() fails only when
// no field at all could be read, which is how a group that was removed shows: the last good reading is then the last
// there is.
//
//   field            v2                              v1
//   cpu              cpu.stat usage_usec             unified/cpu.stat usage_usec
//   throttled        cpu.stat throttled_usec         cpu/cpu.stat throttled_time
//   throttles        cpu.stat nr_throttled           cpu/cpu.stat nr_throttled
//   memory, peak     memory.current, memory.peak     memory.usage_in_bytes, memory.max_usage_in_bytes
//   oom kills        memory.events oom_kill          memory.oom_control oom_kill
//   block            io.stat rbytes, wbytes          blkio.throttle.io_service_bytes_recursive
//   operations       io.stat rios, wios              blkio.throttle.io_serviced_recursive
//   pids, peak       pids.peak, or pids.current      the same; older kernels have no peak of them
//   forks refused    pids.events max                 the same
//
// A reading of `usual` depth has CPU, memory and disk (and on v2 the throttled time, which is in the same file): what
// is integrated or matters by the second. The others only grow or keep their own peak, so that they lose nothing when
// they are read more seldom: a read of a file costs three to five microseconds, and there are nine. One of `due` depth
// is a full one, unless the group spent no CPU since the last due one that was: then nothing of it grew but what the
// kernel wrote back for it, and only each kIdleReadings-th is full. Neither did its disk's use change since the last
// reading then, and a usual one has that of the last.
// Threads: one thread uses a reader at a time. Failures: Error{stage "metering", operation, path, errno}.
#pragma once

#include <string_view>
#include <utility>
#include <vector>

#include "metering/readings/reading.h"
#include "sandbox/base/launcher_protocol.h"
#include "sandbox/base/unique_fd.h"

namespace cloister::metering {

// As sandbox::Descriptors and cgroups::Group::directories have it.
using GroupDescriptors = std::vector<std::pair<launcher::DescriptorKind, UniqueFd>>;

class CgroupReader {
 public:
  // Borrows the directories only while it runs; the files (and a duplicate of `upper`) stay open.
  [[nodiscard]] static Result<CgroupReader> open(const GroupDescriptors& descriptors);

  enum class Depth { usual, due, full };
  static constexpr unsigned kIdleReadings = 6;
  [[nodiscard]] Result<Reading> read(Depth depth = Depth::full);

 private:
  template <typename Buffer>
  void readUsual(Buffer& buffer, Reading& reading);
  template <typename Buffer>
  void readRest(Buffer& buffer, Reading& reading);

  UniqueFd cpuStat_;    // unified cpu.stat
  UniqueFd cpuUsage_;   // v1 cpuacct.usage, without the former
  UniqueFd throttled_;  // v1 cpu.stat
  UniqueFd memory_;
  UniqueFd memoryPeak_;
  UniqueFd memoryEvents_;  // v2 memory.events, v1 memory.oom_control: both have the key oom_kill
  UniqueFd ioStat_;        // v2
  UniqueFd blkio_;         // v1
  UniqueFd blkioCount_;    // v1
  UniqueFd pids_;
  UniqueFd pidsPeak_;
  UniqueFd pidsEvents_;
  UniqueFd upper_;
  std::optional<std::uint64_t> fullCpu_;  // CPU at the last due reading that was a full one
  unsigned idle_ = 0;                     // those since that were not
  struct Disk {
    std::optional<std::uint64_t> bytes;
    bool full = false;
    std::optional<std::uint64_t> cpuNanos;  // the group's, when it was so
  };
  Disk disk_;
};

// Parsers of the kernel's formats; no value when the text is not of that shape.
[[nodiscard]] std::optional<std::uint64_t> parseSingle(std::string_view text);
[[nodiscard]] std::optional<std::uint64_t> parseKey(std::string_view text, std::string_view key);
// Sums over all devices. No device at all is zero, as the kernel means it.
struct BlockSums {
  std::uint64_t read = 0;  // bytes
  std::uint64_t written = 0;
  std::uint64_t reads = 0;  // operations
  std::uint64_t writes = 0;
};
[[nodiscard]] std::optional<BlockSums> parseIoStat(std::string_view text);
// Of one v1 file, which has either bytes or operations.
struct BlkioSums {
  std::uint64_t read = 0;
  std::uint64_t write = 0;
};
[[nodiscard]] std::optional<BlkioSums> parseBlkio(std::string_view text);

}  // namespace cloister::metering
