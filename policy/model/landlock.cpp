#include "policy/model/landlock.h"

namespace cloister::policy {
namespace {

using namespace landlock_access;

constexpr std::uint64_t kRead = kExecute | kReadFile | kReadDirectory;
constexpr std::uint64_t kWrite = kWriteFile | kTruncate | kRemoveDirectory | kRemoveFile | kMakeDirectory |
                                 kMakeRegular | kMakeSocket | kMakeFifo | kMakeSymlink;
constexpr std::uint64_t kSinceAbi1 = (kRefer - 1);

}  // namespace

std::uint64_t landlockHandled(int abi) {
  std::uint64_t handled = kSinceAbi1;
  if (abi >= 2) handled |= kRefer;
  if (abi >= 3) handled |= kTruncate;
  if (abi >= 5) handled |= kDeviceIoctl;
  return handled;
}

LandlockRules landlockRules(launcher::Confinement confinement, int abi, launcher::Writes writes,
                            const std::vector<std::string>& writable) {
  LandlockRules rules{landlockHandled(abi), {}};
  const auto grant = [&](std::string_view path, std::uint64_t access, Missing missing = Missing::passOver) {
    // The kernel refuses a rule that grants nothing, as one of rights newer than its ABI would.
    if ((access & rules.handled) != 0) rules.paths.push_back({path, access & rules.handled, missing});
  };
  // mq_open(3) opens its file over a mount of the kernel's own, from which no path leads up: only this one's root is
  // known.
  constexpr std::string_view kQueues = "/dev/mqueue";
  switch (confinement) {
    case launcher::Confinement::build:
      grant("/", kRead | kWrite | kRefer | kDeviceIoctl);
      grant(kQueues, kRead | kWrite);
      break;
    case launcher::Confinement::freeze:
      grant("/", kRead);
      grant("/tmp", kWrite | kRefer);
      grant("/dev", kWriteFile | kTruncate);
      break;
    case launcher::Confinement::app:
    case launcher::Confinement::exec:
      grant("/dev", kDeviceIoctl);
      grant(kQueues, kRead | kWrite);
      if (writes == launcher::Writes::byMode) {
        grant("/", kRead | kWrite | kRefer);
        break;
      }
      grant("/", kRead);
      for (const auto path : kAlwaysWritable) grant(path, kWrite | kRefer);
      for (const auto& path : writable) grant(path, kWrite | kRefer, Missing::fail);
      // Thread names and oom_score_adj; the mounts decide about everything else there.
      grant("/proc", kWriteFile | kTruncate);
      break;
  }
  return rules;
}

}  // namespace cloister::policy
