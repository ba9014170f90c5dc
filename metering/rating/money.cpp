#include "metering/rating/money.h"

#include <limits>

namespace cloister::metering {
namespace {

__extension__ using Wide = __int128;

// `scale` is a power of ten: the value of one unit.
std::string fixedText(std::uint64_t value, std::uint64_t scale, bool negative) {
  std::string text = (negative ? "-" : "") + std::to_string(value / scale);
  std::uint64_t rest = value % scale;
  if (rest == 0) return text;
  text += '.';
  while (rest != 0) {
    scale /= 10;
    text += static_cast<char>('0' + rest / scale);
    rest %= scale;
  }
  return text;
}

std::optional<std::int64_t> parseFixed(std::string_view text, std::int64_t scale, bool mayBeNegative) {
  const bool negative = !text.empty() && text.front() == '-';
  if (negative) {
    if (!mayBeNegative) return std::nullopt;
    text.remove_prefix(1);
  }
  const auto point = text.find('.');
  const auto whole = text.substr(0, point);
  const auto fraction = point == std::string_view::npos ? std::string_view() : text.substr(point + 1);
  if (whole.empty() || (point != std::string_view::npos && fraction.empty())) return std::nullopt;
  std::int64_t value = 0;
  const auto digit = [&value](char c) {
    if (c < '0' || c > '9') return false;
    return !__builtin_mul_overflow(value, std::int64_t{10}, &value) &&
           !__builtin_add_overflow(value, std::int64_t{c - '0'}, &value);
  };
  for (const char c : whole) {
    if (!digit(c)) return std::nullopt;
  }
  for (const char c : fraction) {
    if (scale == 1 || !digit(c)) return std::nullopt;
    scale /= 10;
  }
  if (__builtin_mul_overflow(value, scale, &value)) return std::nullopt;
  return negative ? -value : value;
}

}  // namespace

std::string moneyText(Money money) {
  const bool negative = money < 0;
  const auto value = negative ? ~static_cast<std::uint64_t>(money) + 1 : static_cast<std::uint64_t>(money);
  return fixedText(value, kMicros, negative);
}

std::optional<Money> parseMoney(std::string_view text) {
  return parseFixed(text, kMicros, true);
}

std::string unitPriceText(UnitPrice price) {
  return fixedText(static_cast<std::uint64_t>(price), kMicros * kNanosAMicro, false);
}

std::optional<UnitPrice> parseUnitPrice(std::string_view text) {
  return parseFixed(text, kMicros * kNanosAMicro, false);
}

std::optional<Money> roundedCost(Quantity numerator, Quantity denominator) {
  // Divided first: doubling the remainder cannot overflow where doubling the numerator could.
  Quantity whole = numerator / denominator;
  const Quantity rest = numerator % denominator;
  if (rest >= denominator - rest) ++whole;
  if (whole > static_cast<Quantity>(std::numeric_limits<Money>::max())) return std::nullopt;
  return static_cast<Money>(whole);
}

Money share(Money amount, std::int64_t part, std::int64_t whole) {
  const Wide doubled = Wide{amount} * part * 2;
  return static_cast<Money>((doubled + (amount < 0 ? -Wide{whole} : Wide{whole})) / (Wide{whole} * 2));
}

Quantity shareOf(Quantity quantity, std::int64_t part, std::int64_t whole) {
  const auto w = static_cast<Quantity>(whole);
  const auto p = static_cast<Quantity>(part);
  return quantity / w * p + quantity % w * p / w;
}

std::string unitsText(Quantity quantity, Quantity per, unsigned digits) {
  std::string text = decimal(quantity / per);
  Quantity rest = quantity % per;
  std::string fraction;
  for (unsigned i = 0; i < digits && rest != 0; ++i) {
    rest *= 10;
    fraction += static_cast<char>('0' + static_cast<int>(rest / per));
    rest %= per;
  }
  while (!fraction.empty() && fraction.back() == '0') fraction.pop_back();
  return fraction.empty() ? text : text + '.' + fraction;
}

}  // namespace cloister::metering
