#include "metering/rating/units.h"

#include <algorithm>
#include <array>

namespace cloister::metering {
namespace {

constexpr Quantity kMillisAnHour = 3'600'000;

constexpr std::array kUnits = {
    PricingUnit{"core-hour", "Core-Hours", 3'600'000'000'000, "ns"},
    PricingUnit{"core-second", "Core-Seconds", 1'000'000'000, "ns"},
    PricingUnit{"gib-hour", "GiB-Hours", (Quantity{1} << 30U) * kMillisAnHour, "byte-ms"},
    PricingUnit{"mib-hour", "MiB-Hours", (Quantity{1} << 20U) * kMillisAnHour, "byte-ms"},
    PricingUnit{"gb", "GB", 1'000'000'000, "bytes"},
    PricingUnit{"gib", "GiB", Quantity{1} << 30U, "bytes"},
    PricingUnit{"instance-hour", "Instance-Hours", kMillisAnHour, "ms"},
    PricingUnit{"million-operations", "Million Operations", 1'000'000, "count"},
};

}  // namespace

const PricingUnit* findUnit(std::string_view name) {
  const auto* found =
      std::find_if(kUnits.begin(), kUnits.end(), [name](const auto& unit) { return unit.name == name; });
  return found == kUnits.end() ? nullptr : found;
}

std::string_view unitNames() {
  return "core-hour, core-second, gib-hour, mib-hour, gb, gib, instance-hour, million-operations";
}

std::string_view serviceCategory(Meter meter) {
  switch (meter) {
    case Meter::networkExternalIn:
    case Meter::networkExternalOut:
    case Meter::networkInternalIn:
    case Meter::networkInternalOut:
      return "Networking";
    case Meter::blockRead:
    case Meter::blockWritten:
    case Meter::blockReads:
    case Meter::blockWrites:
    case Meter::diskByteSeconds:
    case Meter::imageStorage:
      return "Storage";
    default:
      return "Compute";
  }
}

std::string_view serviceName(Meter meter) {
  const auto category = serviceCategory(meter);
  if (category == "Networking") return "Transfer";
  return category == "Storage" ? "App storage" : "App hosting";
}

}  // namespace cloister::metering
