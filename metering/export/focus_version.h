// The versions of FOCUS that a month is exported and checked in.
//
// 1.3 adds the columns ServiceProviderName and HostProviderName, which every file must have; ProviderName and
// PublisherName are deprecated in it, and still mandatory. Threads: pure functions. Failures: parseFocusVersion() gives
// nothing for any other text than "1.2" and "1.3".
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

namespace cloister::metering {

enum class FocusVersion : std::uint8_t { v12, v13 };

[[nodiscard]] constexpr std::optional<FocusVersion> parseFocusVersion(std::string_view text) {
  if (text == "1.2") return FocusVersion::v12;
  if (text == "1.3") return FocusVersion::v13;
  return std::nullopt;
}
[[nodiscard]] constexpr std::string_view focusVersionText(FocusVersion version) {
  return version == FocusVersion::v12 ? "1.2" : "1.3";
}

}  // namespace cloister::metering
