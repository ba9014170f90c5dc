#include "sandbox/base/quantity.h"

#include <array>
#include <cstdio>

namespace cloister {
namespace {

template <std::size_t N>
std::string scaled(double value, double step, const std::array<const char*, N>& units) {
  std::size_t unit = 0;
  while (value >= step && unit + 1 < N) {
    value /= step;
    ++unit;
  }
  return shortNumber(value) + " " + units.at(unit);
}

}  // namespace

std::string shortNumber(double value) {
  std::array<char, 352> digits{};  // the largest double has 309 before the point
  const int length = std::snprintf(digits.data(), digits.size(), "%.*f", value < 10 ? 2 : 1, value);
  std::string text(digits.data(), length > 0 ? static_cast<std::size_t>(length) : 0);
  if (text.find('.') == std::string::npos) return text;
  while (text.back() == '0') text.pop_back();
  if (text.back() == '.') text.pop_back();
  return text;
}

std::string humanBytes(double bytes) {
  static constexpr std::array<const char*, 6> kUnits{"B", "KiB", "MiB", "GiB", "TiB", "PiB"};
  return scaled(bytes, 1024, kUnits);
}

std::string humanRate(double bitsPerSecond) {
  static constexpr std::array<const char*, 5> kUnits{"bit/s", "kbit/s", "Mbit/s", "Gbit/s", "Tbit/s"};
  return scaled(bitsPerSecond, 1000, kUnits);
}

std::string humanCpu(double millis) {
  return shortNumber(millis / 1000) + (millis <= 1000 ? " core" : " cores");
}

}  // namespace cloister
