// Money: an amount in micro-units (10^-6) of a currency, a unit price in nano-units (10^-9), and their texts.
//
// Integers throughout: no amount passes through a double. Every rounding is to the nearest micro-unit, halves away from
// zero, and happens once, on a sum's exact value (see rate.h).
// Threads: pure functions. Failures: parse functions return nothing for what is no plain decimal or has too many
// digits; roundedCost() returns nothing when the amount passes 63 bits.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "metering/base/quantity.h"

namespace cloister::metering {

using Money = std::int64_t;      // micro-units
using UnitPrice = std::int64_t;  // nano-units a pricing unit, never negative
inline constexpr std::int64_t kMicros = 1'000'000;
inline constexpr std::int64_t kNanosAMicro = 1'000;

// "12.5", "-0.000001"; at most six digits behind the point.
[[nodiscard]] std::string moneyText(Money money);
[[nodiscard]] std::optional<Money> parseMoney(std::string_view text);
// At most nine digits behind the point; not negative.
[[nodiscard]] std::string unitPriceText(UnitPrice price);
[[nodiscard]] std::optional<UnitPrice> parseUnitPrice(std::string_view text);

// numerator / denominator, to the nearest integer, halves up. `denominator` is not 0.
[[nodiscard]] std::optional<Money> roundedCost(Quantity numerator, Quantity denominator);
// amount x part / whole, to the nearest integer, halves away from zero; 0 <= part <= whole, whole > 0.
[[nodiscard]] Money share(Money amount, std::int64_t part, std::int64_t whole);
// quantity x part / whole, rounded down: what is free or cheap is never more than its share.
[[nodiscard]] Quantity shareOf(Quantity quantity, std::int64_t part, std::int64_t whole);

// A quantity of base units as decimal pricing units, at most `digits` behind the point, rounded down: for people.
[[nodiscard]] std::string unitsText(Quantity quantity, Quantity per, unsigned digits);

}  // namespace cloister::metering
