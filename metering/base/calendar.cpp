#include "metering/base/calendar.h"

#include <array>
#include <charconv>
#include <chrono>
#include <cstdio>

namespace cloister::metering {
namespace {

using std::chrono::day;
using std::chrono::days;
using std::chrono::month;
using std::chrono::months;
using std::chrono::sys_days;
using std::chrono::year;
using std::chrono::year_month_day;

constexpr std::int64_t kDay = 24 * kHour;

std::int64_t microsOf(const year_month_day& date) {
  return sys_days(date).time_since_epoch().count() * kDay;
}

year_month_day dateOf(std::int64_t micros) {
  std::int64_t whole = micros / kDay;
  if (micros % kDay < 0) --whole;
  return year_month_day(sys_days(days(static_cast<int>(whole))));
}

// Exactly `width` digits.
std::optional<int> number(std::string_view text, std::size_t at, std::size_t width) {
  if (text.size() < at + width) return std::nullopt;
  int value = 0;
  for (const char c : text.substr(at, width)) {
    if (c < '0' || c > '9') return std::nullopt;
    value = value * 10 + (c - '0');
  }
  return value;
}

std::optional<year_month_day> parseDate(std::string_view text) {
  const auto y = number(text, 0, 4);
  const auto m = number(text, 5, 2);
  const auto d = number(text, 8, 2);
  if (!y || !m || !d || text[4] != '-' || text[7] != '-') return std::nullopt;
  const year_month_day date{year(*y), month(static_cast<unsigned>(*m)), day(static_cast<unsigned>(*d))};
  return date.ok() ? std::optional(date) : std::nullopt;
}

// ".123456" with one to six digits, or nothing.
std::optional<std::int64_t> parseFraction(std::string_view text) {
  if (text.empty()) return 0;
  if (text.front() != '.' || text.size() < 2 || text.size() > 7) return std::nullopt;
  auto value = number(text, 1, text.size() - 1);
  if (!value) return std::nullopt;
  std::int64_t micros = *value;
  for (std::size_t digits = text.size() - 1; digits < 6; ++digits) micros *= 10;
  return micros;
}

}  // namespace

std::string utcText(std::int64_t micros) {
  const auto date = dateOf(micros);
  const std::int64_t rest = micros - microsOf(date);
  std::array<char, 48> text{};
  const int written = std::snprintf(
      text.data(), text.size(), "%04d-%02u-%02uT%02d:%02d:%02d", static_cast<int>(date.year()),
      static_cast<unsigned>(date.month()), static_cast<unsigned>(date.day()), static_cast<int>(rest / kHour),
      static_cast<int>(rest / (60 * kSecond) % 60), static_cast<int>(rest / kSecond % 60));
  std::string all(text.data(), static_cast<std::size_t>(written));
  if (const auto fraction = rest % kSecond; fraction != 0) {
    const int more = std::snprintf(text.data(), text.size(), ".%06d", static_cast<int>(fraction));
    all.append(text.data(), static_cast<std::size_t>(more));
  }
  return all + 'Z';
}

std::optional<std::int64_t> parseUtc(std::string_view text) {
  constexpr std::size_t kWhole = std::string_view("2026-11-01T00:00:00").size();
  if (text.size() < kWhole + 1 || text.back() != 'Z' || text[10] != 'T' || text[13] != ':' || text[16] != ':')
    return std::nullopt;
  const auto date = parseDate(text.substr(0, 10));
  const auto hour = number(text, 11, 2);
  const auto minute = number(text, 14, 2);
  const auto second = number(text, 17, 2);
  const auto fraction = parseFraction(text.substr(kWhole, text.size() - kWhole - 1));
  if (!date || !hour || !minute || !second || !fraction) return std::nullopt;
  if (*hour > 23 || *minute > 59 || *second > 59) return std::nullopt;
  return microsOf(*date) + *hour * kHour + *minute * 60 * kSecond + *second * kSecond + *fraction;
}

Period monthOf(std::int64_t micros) {
  const auto date = dateOf(micros);
  const year_month_day first{date.year(), date.month(), day(1)};
  return {microsOf(first), microsOf(first + months(1))};
}

std::string monthText(const Period& period) {
  return utcText(period.from).substr(0, 7);
}

std::optional<Period> parseMonth(std::string_view text) {
  if (text.size() != 7) return std::nullopt;
  const auto date = parseDate(std::string(text) + "-01");
  return date ? std::optional(monthOf(microsOf(*date))) : std::nullopt;
}

}  // namespace cloister::metering
