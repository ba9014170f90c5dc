#include "controlplane/model/limit_names.h"

#include <array>
#include <string_view>

#include "sandbox/base/quantity.h"

namespace cloister::model {
namespace {

enum class Unit { count, bytes, cpu, rate, seconds };
struct Limit {
  std::string_view name;
  const char* typed;
  Unit unit;
};
constexpr std::array kLimits = {
    Limit{"memoryBytes", "memory", Unit::bytes},
    Limit{"cpuMillis", "cpu", Unit::cpu},
    Limit{"diskBytes", "disk", Unit::bytes},
    Limit{"networkBitsPerSecond", "network", Unit::rate},
    Limit{"buildMemoryBytes", "build-memory", Unit::bytes},
    Limit{"buildDiskBytes", "build-disk", Unit::bytes},
    Limit{"imageDiskBytes", "image-disk", Unit::bytes},
    Limit{"buildSeconds", "build-time", Unit::seconds},
    Limit{"memoryHighBytes", "memory-high", Unit::bytes},
    Limit{"cpuBurstMillis", "cpu-burst", Unit::cpu},
    Limit{"diskBytesPerSecond", "disk-rate", Unit::bytes},
    Limit{"diskOperationsPerSecond", "disk-operations", Unit::count},
    Limit{"surgePercent", "surge", Unit::count},
};

const Limit* find(const std::string& name) {
  for (const auto& limit : kLimits) {
    if (limit.name == name) return &limit;
  }
  return nullptr;
}

}  // namespace

std::string limitAmount(const std::string& limit, std::uint64_t amount) {
  const auto* known = find(limit);
  const auto value = static_cast<double>(amount);
  switch (known == nullptr ? Unit::count : known->unit) {
    case Unit::bytes:
      return humanBytes(value);
    case Unit::cpu:
      return humanCpu(value);
    case Unit::rate:
      return humanRate(value);
    case Unit::seconds:
      return std::to_string(amount) + " s";
    case Unit::count:
      break;
  }
  return std::to_string(amount);
}

std::string limitTyped(const std::string& limit) {
  const auto* known = find(limit);
  return known == nullptr ? limit : known->typed;
}

}  // namespace cloister::model
