#include "metering/base/usage.h"

#include <array>

namespace cloister::metering {
namespace {

enum class Kind { billable, level, hit, gap, record };
struct Description {
  const char* name;
  const char* unit;
  Kind kind;
};
constexpr std::string_view kHostPrefix = "host:";

constexpr std::array<Description, kMeters> kDescriptions{{
    {"cpu", "ns", Kind::billable},
    {"cpu_throttled", "ns", Kind::billable},
    {"memory", "byte-ms", Kind::billable},
    {"memory_allocated", "byte-ms", Kind::billable},
    {"memory_peak", "bytes", Kind::level},
    {"oom_kills", "count", Kind::hit},
    {"block_read", "bytes", Kind::billable},
    {"block_written", "bytes", Kind::billable},
    {"network_external_in", "bytes", Kind::billable},
    {"network_external_out", "bytes", Kind::billable},
    {"network_internal_in", "bytes", Kind::billable},
    {"network_internal_out", "bytes", Kind::billable},
    {"disk", "byte-ms", Kind::billable},
    {"instance", "ms", Kind::billable},
    {"pids_peak", "count", Kind::level},
    {"gap", "ms", Kind::gap},
    {"lifecycle", "count", Kind::record},
    {"group_cpu", "ns", Kind::record},
    {"block_reads", "count", Kind::billable},
    {"block_writes", "count", Kind::billable},
    {"cpu_throttles", "count", Kind::hit},
    {"pids_refused", "count", Kind::hit},
    {"disk_full", "count", Kind::hit},
    {"network_dropped", "count", Kind::hit},
    {"instance_state", "count", Kind::record},
    {"host_cpu", "ns", Kind::record},
    {"seal", "rows", Kind::record},
    {"image_storage", "byte-ms", Kind::billable},
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
  return describe(meter).kind == Kind::level;
}
bool isBillable(Meter meter) {
  return describe(meter).kind == Kind::billable;
}
bool isRecord(Meter meter) {
  return describe(meter).kind == Kind::record;
}

std::string hostChain(const std::string& source) {
  return std::string(kHostPrefix) + source;
}
bool isHostChain(std::string_view tenantId) {
  return tenantId.starts_with(kHostPrefix);
}
std::string hostOfChain(const std::string& tenantId) {
  return tenantId.substr(kHostPrefix.size());
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
