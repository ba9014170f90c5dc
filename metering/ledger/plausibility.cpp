#include "metering/ledger/plausibility.h"

#include <algorithm>
#include <array>
#include <map>
#include <set>

namespace cloister::metering {
namespace {

constexpr double kMicros = 1e6;
constexpr double kNanos = 1e9;
constexpr double kMillis = 1e3;
// A row may be as short as a reading takes.
constexpr double kLeastSeconds = 1;
constexpr double kInstances = 100'000;
constexpr double kOperationsPerSecond = 1e9;

// What a host can have used of a meter in a second; 0: the meter is no use, or a level.
double mostPerSecond(Meter meter, const HostBounds& bounds) {
  const auto memory = static_cast<double>(bounds.memoryBytes);
  switch (meter) {
    case Meter::cpu:
    case Meter::cpuThrottled:
    case Meter::groupCpu:
    case Meter::hostCpu:
      return static_cast<double>(bounds.cores) * kNanos;
    case Meter::memoryByteSeconds:
      return memory * kMillis;
    // Limits may be promised several times over.
    case Meter::memoryAllocated:
    case Meter::diskByteSeconds:
      return memory * kMillis * 16;
    case Meter::blockRead:
    case Meter::blockWritten:
    case Meter::networkExternalIn:
    case Meter::networkExternalOut:
    case Meter::networkInternalIn:
    case Meter::networkInternalOut:
      return static_cast<double>(bounds.bytesPerSecond);
    case Meter::instanceSeconds:
      return kInstances * kMillis;
    case Meter::blockReads:
    case Meter::blockWrites:
    case Meter::networkDropped:
    case Meter::cpuThrottles:
    case Meter::pidsRefused:
    case Meter::oomKills:
      return kOperationsPerSecond;
    default:
      return 0;
  }
}

struct Sum {
  double quantity = 0;
  std::int64_t from = INT64_MAX;
  std::int64_t to = INT64_MIN;
};

}  // namespace

std::optional<std::string> endsInTheFuture(const UsageBatch& batch, std::int64_t now) {
  for (const auto& row : batch.rows) {
    if (row.to <= now + kClockSkew) continue;
    return "a window ends " + std::to_string((row.to - now) / 1'000'000) + " seconds ahead of this server's clock";
  }
  return std::nullopt;
}

std::optional<std::string> implausible(const UsageBatch& batch, const HostBounds& bounds,
                                       const std::function<bool(const std::string& tenantId)>& known) {
  std::map<Meter, Sum> sums;
  std::set<std::string> tenants;
  for (const auto& row : batch.rows) {
    tenants.insert(row.tenantId);
    auto& sum = sums[row.meter];
    sum.quantity += static_cast<double>(row.quantity);
    sum.from = std::min(sum.from, row.from);
    sum.to = std::max(sum.to, row.to);
    if (row.meter == Meter::memoryPeak && row.quantity > bounds.memoryBytes)
      return "memory_peak is more than a host has";
  }
  for (const auto& tenant : tenants) {
    if (isHostChain(tenant) ? hostOfChain(tenant) == batch.source : known(tenant)) continue;
    return "\"" + tenant.substr(0, 64) + "\" is no tenant" + (isHostChain(tenant) ? ", and another host's chain" : "");
  }
  for (const auto& [meter, sum] : sums) {
    const double most = mostPerSecond(meter, bounds);
    if (most <= 0) continue;
    const double seconds = std::max(kLeastSeconds, static_cast<double>(sum.to - sum.from) / kMicros);
    if (sum.quantity > most * seconds) {
      return std::string(meterName(meter)) + ": more than a host of " + std::to_string(bounds.cores) +
             " cores can use in " + std::to_string(static_cast<std::int64_t>(seconds)) + " seconds";
    }
  }
  return std::nullopt;
}

}  // namespace cloister::metering
