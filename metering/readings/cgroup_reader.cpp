#include "metering/readings/cgroup_reader.h"

#include <fcntl.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <charconv>

#include "sandbox/base/counters.h"
#include "sandbox/base/files.h"

namespace cloister::metering {
namespace {

using launcher::DescriptorKind;

int directory(const GroupDescriptors& descriptors, DescriptorKind kind) {
  for (const auto& [candidate, fd] : descriptors) {
    if (candidate == kind) return fd.get();
  }
  return -1;
}

// A file that is not there is a field without a value; any other failure (EMFILE, EACCES) is the caller's to know.
Status openFile(int dir, std::string_view name, UniqueFd& fd) {
  if (dir < 0) return {};
  // Our own names in a directory of the kernel's: nothing leads out of it. openat2(2), which could say so, has no
  // fallback where systemd's RestrictSUIDSGID= answers it with ENOSYS.
  auto file = files::openAt(dir, name, O_RDONLY | O_NOFOLLOW);
  if (file) {
    fd = std::move(file).value();
    return {};
  }
  if (file.error().code == ENOENT || file.error().code == ENODEV) return {};
  return Error{"metering", "open", std::string(name), file.error().code};
}

std::string_view takeToken(std::string_view& text, std::string_view separators) {
  const auto begin = text.find_first_not_of(separators);
  if (begin == std::string_view::npos) {
    text = {};
    return {};
  }
  text.remove_prefix(begin);
  const auto token = text.substr(0, text.find_first_of(separators));
  text.remove_prefix(token.size());
  return token;
}

std::optional<std::uint64_t> number(std::string_view text) {
  std::uint64_t value = 0;
  const char* const end = text.data() + text.size();
  const auto [stop, error] = std::from_chars(text.data(), end, value);
  if (text.empty() || error != std::errc{} || stop != end) return std::nullopt;
  return value;
}

using SmallBuffer = std::array<char, 1024>;
// Room for io.stat of some hundred devices; all other files are far smaller.
using LargeBuffer = std::array<char, 16384>;

// Reads a kept file; no value when it is not there, the group is gone, or `parse` does not know the text.
template <typename Buffer, typename Parse>
auto readWith(const UniqueFd& fd, Buffer& buffer, Parse&& parse) -> decltype(parse(std::string_view())) {
  if (!fd) return std::nullopt;
  const auto text = counters::readAgain(fd.get(), buffer.data(), buffer.size());
  if (!text) return std::nullopt;
  return parse(*text);
}

}  // namespace

std::optional<std::uint64_t> parseSingle(std::string_view text) {
  const auto token = takeToken(text, "\n");
  return text.find_first_not_of('\n') == std::string_view::npos ? number(token) : std::nullopt;
}

std::optional<std::uint64_t> parseKey(std::string_view text, std::string_view key) {
  for (;;) {
    const auto end = std::min(text.find('\n'), text.size());
    if (end > key.size() && text.starts_with(key) && text[key.size()] == ' ')
      return number(text.substr(key.size() + 1, end - key.size() - 1));
    if (end == text.size()) return std::nullopt;
    text.remove_prefix(end + 1);
  }
}

std::optional<BlockSums> parseIoStat(std::string_view text) {
  struct Key {
    std::string_view name;
    std::uint64_t BlockSums::*sum;
  };
  constexpr std::array<Key, 4> kKeys{{{"rbytes", &BlockSums::read},
                                      {"wbytes", &BlockSums::written},
                                      {"rios", &BlockSums::reads},
                                      {"wios", &BlockSums::writes}}};
  BlockSums sums;
  while (!text.empty()) {
    auto line = takeToken(text, "\n");
    if (line.empty()) continue;
    if (takeToken(line, " ").find(':') == std::string_view::npos) return std::nullopt;
    while (!line.empty()) {
      const auto token = takeToken(line, " ");
      const auto equals = token.find('=');
      if (equals == std::string_view::npos) continue;
      const auto* const key = std::find_if(kKeys.begin(), kKeys.end(),
                                           [&](const Key& known) { return known.name == token.substr(0, equals); });
      if (key == kKeys.end()) continue;
      const auto value = number(token.substr(equals + 1));
      if (!value) return std::nullopt;
      sums.*key->sum += *value;
    }
  }
  return sums;
}

std::optional<BlkioSums> parseBlkio(std::string_view text) {
  BlkioSums sum;
  bool total = false;
  while (!text.empty()) {
    auto line = takeToken(text, "\n");
    if (line.empty()) continue;
    const auto device = takeToken(line, " ");
    if (device == "Total") {
      total = true;
      continue;
    }
    const auto name = takeToken(line, " ");
    const auto value = number(takeToken(line, " "));
    if (device.find(':') == std::string_view::npos || !value) return std::nullopt;
    if (name == "Read") sum.read += *value;
    if (name == "Write") sum.write += *value;
  }
  if (!total) return std::nullopt;
  return sum;
}

Result<CgroupReader> CgroupReader::open(const GroupDescriptors& descriptors) {
  const int unified = directory(descriptors, DescriptorKind::unified);
  const int cpuacct = directory(descriptors, DescriptorKind::cpuacct);
  const int cpu = directory(descriptors, DescriptorKind::cpu);
  const int memory = directory(descriptors, DescriptorKind::memory);
  const int blkio = directory(descriptors, DescriptorKind::blkio);
  const int pids = directory(descriptors, DescriptorKind::pids);

  CgroupReader reader;
  const struct {
    int dir;
    std::string_view name;
    UniqueFd& fd;
  } wanted[] = {
      {unified, "cpu.stat", reader.cpuStat_},
      {cpuacct, "cpuacct.usage", reader.cpuUsage_},
      {cpu, "cpu.stat", reader.throttled_},
      {memory >= 0 ? memory : unified, memory >= 0 ? "memory.usage_in_bytes" : "memory.current", reader.memory_},
      {memory >= 0 ? memory : unified, memory >= 0 ? "memory.max_usage_in_bytes" : "memory.peak", reader.memoryPeak_},
      {memory >= 0 ? memory : unified, memory >= 0 ? "memory.oom_control" : "memory.events", reader.memoryEvents_},
      {blkio >= 0 ? -1 : unified, "io.stat", reader.ioStat_},
      {blkio, "blkio.throttle.io_service_bytes_recursive", reader.blkio_},
      {blkio, "blkio.throttle.io_serviced_recursive", reader.blkioCount_},
      {pids >= 0 ? pids : unified, "pids.peak", reader.pidsPeak_},
      {pids >= 0 ? pids : unified, "pids.events", reader.pidsEvents_},
  };
  for (const auto& file : wanted) {
    if (auto opened = openFile(file.dir, file.name, file.fd); !opened) return opened.error();
  }
  if (reader.cpuStat_) reader.cpuUsage_.reset();
  if (!reader.pidsPeak_) {
    if (auto opened = openFile(pids >= 0 ? pids : unified, "pids.current", reader.pids_); !opened)
      return opened.error();
  }
  if (const int upper = directory(descriptors, DescriptorKind::upper); upper >= 0) {
    auto copy = counters::duplicate(upper);
    if (!copy) return copy.error();
    reader.upper_ = std::move(copy).value();
  }
  return reader;
}

template <typename Buffer>
void CgroupReader::readUsual(Buffer& buffer, Reading& reading) {
  if (!cpuStat_) {
    reading.cpuNanos = readWith(cpuUsage_, buffer, parseSingle);
  } else if (const auto text = counters::readAgain(cpuStat_.get(), buffer.data(), buffer.size())) {
    if (const auto usage = parseKey(*text, "usage_usec")) reading.cpuNanos = *usage * 1000U;
    if (!throttled_) {
      if (const auto throttled = parseKey(*text, "throttled_usec")) reading.throttledNanos = *throttled * 1000U;
      reading.throttles = parseKey(*text, "nr_throttled");
    }
  }
  reading.memoryBytes = readWith(memory_, buffer, parseSingle);
}

template <typename Buffer>
void CgroupReader::readRest(Buffer& buffer, Reading& reading) {
  const auto key = [](std::string_view name) { return [name](std::string_view text) { return parseKey(text, name); }; };
  if (throttled_) {
    if (const auto text = counters::readAgain(throttled_.get(), buffer.data(), buffer.size())) {
      reading.throttledNanos = parseKey(*text, "throttled_time");
      reading.throttles = parseKey(*text, "nr_throttled");
    }
  }
  reading.oomKills = readWith(memoryEvents_, buffer, key("oom_kill"));
  reading.pidsRefused = readWith(pidsEvents_, buffer, key("max"));
  if (const auto sums = readWith(ioStat_, buffer, parseIoStat)) {
    reading.blockReadBytes = sums->read;
    reading.blockWrittenBytes = sums->written;
    reading.blockReads = sums->reads;
    reading.blockWrites = sums->writes;
  }
  if (const auto bytes = readWith(blkio_, buffer, parseBlkio)) {
    reading.blockReadBytes = bytes->read;
    reading.blockWrittenBytes = bytes->write;
  }
  if (const auto operations = readWith(blkioCount_, buffer, parseBlkio)) {
    reading.blockReads = operations->read;
    reading.blockWrites = operations->write;
  }
  reading.memoryPeakBytes = readWith(memoryPeak_, buffer, parseSingle);
  reading.pids = readWith(pids_, buffer, parseSingle);
  reading.pidsPeak = readWith(pidsPeak_, buffer, parseSingle);
}

Result<Reading> CgroupReader::read(Depth depth) {
  Reading reading;
  reading.bootNanos = counters::bootNanos();
  {
    SmallBuffer buffer;  // a large one would be set to zero each time
    readUsual(buffer, reading);
  }
  const auto grew = [&] { return !reading.cpuNanos || reading.cpuNanos != fullCpu_ || ++idle_ == kIdleReadings; };
  if (depth == Depth::full || (depth == Depth::due && grew())) {
    LargeBuffer buffer;
    readRest(buffer, reading);
    if (depth == Depth::due) {
      fullCpu_ = reading.cpuNanos;
      idle_ = 0;
    }
  }
  bool any = false;
  forEachField(reading, [&any](const std::optional<std::uint64_t>& field) { any = any || field.has_value(); });
  // The upper outlives the group; alone it says nothing about the group being there.
  if (!any) return Error{"metering", "read", "cgroup", ENODEV};
  if (upper_) {
    if (depth != Depth::usual || !reading.cpuNanos || reading.cpuNanos != disk_.cpuNanos) {
      const auto use = counters::diskUse(upper_.get());
      disk_ = use ? Disk{use->bytes, use->full, reading.cpuNanos} : Disk{};
    }
    reading.diskBytes = disk_.bytes;
    reading.diskFull = disk_.full;
  }
  return reading;
}

}  // namespace cloister::metering
