#include "metering/base/usage.h"

#include <array>

namespace cloister::metering {
namespace {

struct Description {
  const char* name;
  const char* unit;
  bool level;
};

constexpr std::array<Description, static_cast<std::size_t>(kLastMeter) + 1> kDescriptions{{
    {"cpu", "ns", false},
    {"cpu_throttled", "ns", false},
    {"memory", "byte-ms", false},
    {"memory_allocated", "byte-ms", false},
    {"memory_peak", "bytes", true},
    {"oom_kills", "count", false},
    {"block_read", "bytes", false},
    {"block_written", "bytes", false},
    {"network_external_in", "bytes", false},
    {"network_external_out", "bytes", false},
    {"network_internal_in", "bytes", false},
    {"network_internal_out", "bytes", false},
    {"disk", "byte-ms", false},
    {"instance", "ms", false},
    {"pids_peak", "count", true},
    {"gap", "ms", false},
    {"lifecycle", "count", false},
    {"group_cpu", "ns", false},
    {"seal", "rows", false},
}};

const Description& describe(Meter meter) {
  return kDescriptions.at(static_cast<std::size_t>(meter));
}

}  // namespace

const char* meterName(Meter meter) {
  return describe(meter).name;
}
const char* meterUnit(Meter meter) {
  return describe(meter).unit;
}
bool isLevel(Meter meter) {
  return describe(meter).level;
}
bool isBillable(Meter meter) {
  return !isLevel(meter) && meter != Meter::gap && meter != Meter::lifecycle && meter != Meter::groupCpu &&
         meter != Meter::seal;
}

bool meterFromName(const std::string& name, Meter& meter) {
  for (std::size_t i = 0; i < kDescriptions.size(); ++i) {
    if (name == kDescriptions[i].name) {
      meter = static_cast<Meter>(i);
      return true;
    }
  }
  return false;
}

}  // namespace cloister::metering
