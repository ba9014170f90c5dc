#include "sandbox/rootfs/processor_tree.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <map>
#include <string>
#include <string_view>

#include "sandbox/base/files.h"
#include "sandbox/base/mounts.h"

namespace cloister::rootfs {
namespace {

constexpr std::string_view kStage = "rootfs";
constexpr std::uint64_t kBits = 32;  // of a group of a mask
constexpr std::uint64_t kBitsADigit = 4;
// Of an inode tmpfs counts each name.
constexpr std::uint64_t kFixedNames = 16;
constexpr std::uint64_t kNamesAProcessor = 16;

// As the kernel prints a bitmap of `count` bits of which those from `first` to `last` are set.
std::string maskText(std::uint64_t count, std::uint64_t first, std::uint64_t last) {
  constexpr std::string_view kDigits = "0123456789abcdef";
  std::string text;
  for (std::uint64_t digit = (count + kBitsADigit - 1) / kBitsADigit; digit-- > 0;) {
    unsigned value = 0;
    for (std::uint64_t bit = 0; bit < kBitsADigit; ++bit) {
      const std::uint64_t number = digit * kBitsADigit + bit;
      if (number >= first && number <= last) value |= 1U << bit;
    }
    text += kDigits[value];
    if (digit > 0 && digit * kBitsADigit % kBits == 0) text += ',';
  }
  return text + "\n";
}

Status makeDirectories(int cpu, std::uint64_t processors) {
  for (std::uint64_t i = 0; i < processors; ++i) {
    const std::string own = "cpu" + std::to_string(i);
    for (const std::string& name : {own, own + "/topology"}) {
      if (::mkdirat(cpu, name.c_str(), 0755) != 0) return errnoError(kStage, "mkdir", name);
    }
  }
  return {};
}

// A text that is there already gets one more name: a file of its own would be a page of memory.
Status writeFiles(int cpu, const std::vector<OwnFile>& all) {
  std::map<std::string_view, const std::string*> known;
  for (const auto& [name, text] : all) {
    const auto [first, isNew] = known.try_emplace(text, &name);
    if (!isNew) {
      if (::linkat(cpu, first->second->c_str(), cpu, name.c_str(), 0) != 0) return errnoError(kStage, "link", name);
      continue;
    }
    auto file = files::openAt(cpu, name, O_WRONLY | O_CREAT | O_EXCL, files::Resolve::beneath, 0444);
    if (!file) return file.error();
    if (auto wrote = files::writeAll(file->get(), text); !wrote) return wrote;
  }
  return {};
}

}  // namespace

std::vector<OwnFile> processorFiles(std::uint64_t count) {
  const std::string list = count == 1 ? "0\n" : "0-" + std::to_string(count - 1) + "\n";
  const std::string all = maskText(count, 0, count - 1);
  std::vector<OwnFile> files = {{"possible", list}, {"online", list}, {"present", list}};
  for (std::uint64_t i = 0; i < count; ++i) {
    const std::string own = "cpu" + std::to_string(i) + "/topology/";
    const std::string number = std::to_string(i) + "\n";
    files.insert(files.end(), {{own + "core_id", number},
                               {own + "physical_package_id", "0\n"},
                               {own + "thread_siblings", maskText(count, i, i)},
                               {own + "thread_siblings_list", number},
                               {own + "core_siblings", all},
                               {own + "core_siblings_list", list}});
  }
  return files;
}

Result<UniqueFd> makeSys(std::uint64_t processors) {
  constexpr std::uint64_t kQuiet = mounts::kNoSuid | mounts::kNoDev | mounts::kNoExec;
  const std::string names = std::to_string(kFixedNames + kNamesAProcessor * processors);
  // A text is less than a page, and each processor has two of its own.
  const std::string size = std::to_string(8 + 8 * processors) + "k";
  auto sys = mounts::make("tmpfs", {{"mode", "0555"}, {"size", size}, {"nr_inodes", names}}, kQuiet);
  if (!sys) return sys;
  for (const char* directory : {"devices", "devices/system", "devices/system/cpu"}) {
    if (::mkdirat(sys->get(), directory, 0755) != 0) return errnoError(kStage, "mkdir", directory);
  }
  auto cpu = files::openAt(sys->get(), "devices/system/cpu", O_RDONLY | O_DIRECTORY);
  if (!cpu) return cpu.error();
  if (auto made = makeDirectories(cpu->get(), processors); !made) return made.error();
  if (auto wrote = writeFiles(cpu->get(), processorFiles(processors)); !wrote) return wrote.error();
  if (auto done = mounts::restrict(sys->get(), mounts::kReadOnly | kQuiet); !done) return done.error();
  return sys;
}

}  // namespace cloister::rootfs
