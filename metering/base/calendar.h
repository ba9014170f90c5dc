// Calendar: moments as microseconds since the epoch, UTC, their text, and the months that bills are made for.
//
// Threads: pure functions. Failures: parse functions return nothing for what is not exactly of that form.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace cloister::metering {

inline constexpr std::int64_t kMilli = 1'000;
inline constexpr std::int64_t kSecond = 1'000'000;
inline constexpr std::int64_t kHour = 3'600 * kSecond;

// "2026-11-01T00:00:00Z"; with ".123456" only where there is a fraction of a second (RFC 3339).
[[nodiscard]] std::string utcText(std::int64_t micros);
[[nodiscard]] std::optional<std::int64_t> parseUtc(std::string_view text);
[[nodiscard]] constexpr std::int64_t hourOf(std::int64_t micros) {
  const auto past = micros % kHour;
  return micros - (past < 0 ? past + kHour : past);
}

// One calendar month, [from, to).
struct Period {
  std::int64_t from = 0;
  std::int64_t to = 0;
  friend auto operator<=>(const Period&, const Period&) = default;
  [[nodiscard]] bool contains(std::int64_t micros) const { return micros >= from && micros < to; }
};
[[nodiscard]] Period monthOf(std::int64_t micros);
[[nodiscard]] std::string monthText(const Period& period);  // "2026-11"
[[nodiscard]] std::optional<Period> parseMonth(std::string_view text);

}  // namespace cloister::metering
