#include "metering/readings/clock_step.h"

#include <algorithm>
#include <array>
#include <cstdlib>

namespace cloister::metering {

std::string clockStepNote(std::int64_t micros) {
  struct Unit {
    std::int64_t seconds;
    std::int64_t most;
    const char* name;
  };
  constexpr std::array<Unit, 4> kUnits{{{1, 59, "s"}, {60, 59, "min"}, {3600, 23, "h"}, {86'400, 365, "d"}}};
  const std::string text = micros < 0 ? "clock stepped back by " : "clock stepped forward by ";
  // Half of the range is more than any calendar has.
  const auto seconds = std::max<std::int64_t>((std::abs(micros / 2) + 250'000) / 500'000, 1);
  for (const auto& unit : kUnits) {
    const auto count = (seconds + unit.seconds / 2) / unit.seconds;
    if (count <= unit.most) return text + std::to_string(count) + " " + unit.name;
  }
  return text + "more than a year";
}

}  // namespace cloister::metering
