// A step of the calendar: what moved it against the boot clock, told as the note of a gap.
//
// Threads: pure. Failures: none.
#pragma once

#include <cstdint>
#include <string>

namespace cloister::metering {

inline constexpr std::int64_t kClockStepMicros = 1'000'000;  // what moves less between two looks is slewing

// "clock stepped forward by 1 h": rounded to whole seconds, minutes, hours or days, so that there are few texts.
[[nodiscard]] std::string clockStepNote(std::int64_t micros);

}  // namespace cloister::metering
