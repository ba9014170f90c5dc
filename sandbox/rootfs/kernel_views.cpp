#include "sandbox/rootfs/kernel_views.h"

#include <dirent.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <sys/utsname.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <ctime>
#include <memory>
#include <string_view>

#include "policy/model/kernel_views.h"
#include "sandbox/base/files.h"

namespace cloister::rootfs {
namespace {

constexpr std::string_view kStage = "rootfs";
constexpr std::uint64_t kMillisACore = 1'000;

// Lines of cpuinfo that programs choose code by. What is left out says where the processor sits or how it is patched.
constexpr std::array kProcessorKeys = {"vendor_id",  "cpu family",   "model",          "model name",  "stepping",
                                       "cache size", "fpu",          "fpu_exception",  "cpuid level", "wp",
                                       "flags",      "clflush size", "cache_alignment"};

template <std::size_t N>
bool names(const std::array<policy::KernelView, N>& views, std::string_view name) {
  return std::any_of(views.begin(), views.end(), [name](const auto& view) { return name == view.path; });
}

bool isProcess(std::string_view name) {
  return name.find_first_not_of("0123456789") == std::string_view::npos;
}

std::string_view trimmed(std::string_view text) {
  const auto end = text.find_last_not_of(" \t");
  return end == std::string_view::npos ? std::string_view() : text.substr(0, end + 1);
}

// Lines of the first processor that kProcessorKeys name.
std::vector<std::string> processorLines(std::string_view cpuinfo) {
  std::vector<std::string> lines;
  while (!cpuinfo.empty()) {
    const auto end = std::min(cpuinfo.find('\n'), cpuinfo.size());
    const auto line = cpuinfo.substr(0, end);
    if (line.empty()) break;
    const auto key = trimmed(line.substr(0, line.find(':')));
    if (std::find(kProcessorKeys.begin(), kProcessorKeys.end(), key) != kProcessorKeys.end()) lines.emplace_back(line);
    cpuinfo.remove_prefix(std::min(end + 1, cpuinfo.size()));
  }
  return lines;
}

// As the kernel writes it. cloister-init knows the total from the first line.
std::string memoryText(std::uint64_t bytes) {
  const std::string all = std::to_string(bytes >> 10U);
  std::string text;
  for (const auto* name : {"MemTotal:       ", "MemFree:        ", "MemAvailable:   "}) {
    text += name + std::string(all.size() < 8 ? 8 - all.size() : 0, ' ') + all + " kB\n";
  }
  return text;
}

std::string processorsText(const std::vector<std::string>& lines, std::uint64_t count) {
  std::string text;
  for (std::uint64_t i = 0; i < count; ++i) {
    const std::string number = std::to_string(i);
    text += "processor\t: " + number + "\n";
    for (const auto& line : lines) text += line + "\n";
    text += "physical id\t: 0\nsiblings\t: " + std::to_string(count) + "\ncore id\t\t: " + number +
            "\ncpu cores\t: " + std::to_string(count) + "\n\n";
  }
  return text;
}

std::string timesText(std::uint64_t processors) {
  constexpr std::string_view kNoTime = " 0 0 0 0 0 0 0 0 0 0\n";
  std::string text = "cpu " + std::string(kNoTime);
  for (std::uint64_t i = 0; i < processors; ++i) text += "cpu" + std::to_string(i) + std::string(kNoTime);
  return text + "intr 0\nctxt 0\nbtime " + std::to_string(::time(nullptr)) +
         "\nprocesses 1\nprocs_running 1\nprocs_blocked 0\nsoftirq 0 0 0 0 0 0 0 0 0 0 0\n";
}

// Version 4. Without random bytes, which a kernel this far into its life always has, it is the nil one.
std::string randomUuid() {
  std::array<std::uint8_t, 16> bytes{};
  if (::getrandom(bytes.data(), bytes.size(), 0) != static_cast<ssize_t>(bytes.size())) bytes = {};
  bytes[6] = static_cast<std::uint8_t>((bytes[6] & 0x0fU) | 0x40U);
  bytes[8] = static_cast<std::uint8_t>((bytes[8] & 0x3fU) | 0x80U);
  constexpr std::string_view kDigits = "0123456789abcdef";
  std::string text;
  for (std::size_t i = 0; i < bytes.size(); ++i) {
    if (i == 4 || i == 6 || i == 8 || i == 10) text += '-';
    text += kDigits[bytes.at(i) >> 4U];
    text += kDigits[bytes.at(i) & 15U];
  }
  return text;
}

}  // namespace

Result<KernelViews> KernelViews::open(const std::string& proc) {
  KernelViews views;
  const std::unique_ptr<DIR, int (*)(DIR*)> entries(::opendir(proc.c_str()), ::closedir);
  if (!entries) return errnoError(kStage, "opendir", proc);
  const auto cover = [&](const std::string& name) -> Status {
    struct stat status {};
    if (::lstat((proc + "/" + name).c_str(), &status) != 0) {
      return errno == ENOENT ? Status() : Status(errnoError(kStage, "stat", name));
    }
    views.covers_.push_back({name, S_ISDIR(status.st_mode) ? Shape::directory : Shape::file});
    return {};
  };
  while (const dirent* entry = ::readdir(entries.get())) {  // NOLINT(concurrency-mt-unsafe): the stream is ours alone
    const std::string name(static_cast<const char*>(entry->d_name));
    if (name.front() == '.' || isProcess(name) || names(policy::kKeptEntries, name) ||
        names(policy::kOwnEntries, name)) {
      continue;
    }
    if (auto done = cover(name); !done) return done.error();
  }
  for (const auto& setting : policy::kCoveredSettings) {
    if (auto done = cover(setting.path); !done) return done.error();
  }
  auto cpuinfo = files::read(proc + "/cpuinfo", 4U << 20U);
  if (!cpuinfo) return cpuinfo.error();
  views.processor_ = processorLines(*cpuinfo);
  auto mostFiles = files::read(proc + "/sys/fs/file-max", 64);
  if (!mostFiles) return mostFiles.error();
  views.mostFiles_ = mostFiles->substr(0, mostFiles->find('\n'));
  utsname kernel{};
  ::uname(&kernel);
  views.version_ = std::string(kernel.sysname) + " version " + kernel.release + "\n";
  views.hostMemory_ =
      static_cast<std::uint64_t>(::sysconf(_SC_PHYS_PAGES)) * static_cast<std::uint64_t>(::sysconf(_SC_PAGESIZE));
  views.hostProcessors_ = static_cast<std::uint64_t>(std::max(::sysconf(_SC_NPROCESSORS_ONLN), 1L));
  return views;
}

std::uint64_t KernelViews::processorCount(const Capacity& capacity) const {
  const std::uint64_t wanted = (capacity.cpuMillis + kMillisACore - 1) / kMillisACore;
  return capacity.cpuMillis == 0 ? hostProcessors_ : std::min(wanted, hostProcessors_);
}

std::vector<OwnFile> KernelViews::files(const Capacity& capacity) const {
  const std::uint64_t memory = capacity.memoryBytes == 0 ? hostMemory_ : std::min(capacity.memoryBytes, hostMemory_);
  const std::uint64_t processors = processorCount(capacity);
  return {{"cpuinfo", processorsText(processor_, processors)},
          {"diskstats", ""},
          {"loadavg", "0.00 0.00 0.00 1/1 1\n"},
          {"meminfo", memoryText(memory)},
          {"stat", timesText(processors)},
          {"swaps", "Filename\t\t\t\tType\t\tSize\t\tUsed\t\tPriority\n"},
          {"sys/fs/file-nr", "0\t0\t" + mostFiles_ + "\n"},
          {"sys/kernel/core_pattern", "core\n"},
          {"sys/kernel/random/boot_id", randomUuid() + "\n"},
          {"uptime", "0.00 0.00\n"},
          {"version", version_},
          {"vmstat", "pgfault 0\npgmajfault 0\n"}};
}

}  // namespace cloister::rootfs
