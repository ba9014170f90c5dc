// PriceList: what a provider charges between two moments; the price book is all of them, in order of time.
//
// A list never changes once it is in the book: another one takes over from it. Both ends are whole hours UTC, so that
// no hour has two prices. Within an item, what is used in a month goes through `included` (free), then through the
// tiers in order; only the last has no end. Both are quoted for a whole month, and prorated by the hours when a list
// covers part of one. As JSON:
//
//   {"name": "2026", "currency": "EUR", "from": "2026-01-01T00:00:00Z", "to": "2027-01-01T00:00:00Z" (or absent),
//    "minimum": "5",                        a tenant and month, before tax
//    "items": [{"sku": "cpu", "meter": "cpu", "unit": "core-hour", "included": 10,
//               "tiers": [{"up_to": 1000, "price": "0.012"}, {"price": "0.009"}]}],
//    "plans": [{"plan": "small", "fee": "9", "transfer_gb": 500, "over_transfer": "throttle"}],
//    "taxes": [{"name": "VAT", "percent": "19"}]}
//
// Threads: values and pure functions. Failures: Error{stage "price list", operation = the reason, path = the field
// ("items[2].tiers[0].price")}.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "metering/base/calendar.h"
#include "metering/rating/money.h"
#include "metering/rating/units.h"
#include "sandbox/base/result.h"

namespace cloister::metering {

inline constexpr std::uint64_t kNoEnd = UINT64_MAX;
inline constexpr std::int64_t kOpenEnd = INT64_MAX;

struct Tier {
  std::uint64_t upTo = kNoEnd;  // pricing units of a month behind `included`; exclusive
  UnitPrice price = 0;
  friend bool operator==(const Tier&, const Tier&) = default;
};

struct PriceItem {
  std::string sku;
  Meter meter = Meter::cpu;
  std::string unit;            // PricingUnit::name
  std::uint64_t included = 0;  // pricing units a month
  std::vector<Tier> tiers;
  friend bool operator==(const PriceItem&, const PriceItem&) = default;
  [[nodiscard]] Quantity per() const { return findUnit(unit)->per; }
};

// What happens when a plan's monthly transfer is used up.
enum class OverTransfer { charge, throttle, stop };

struct PlanTerms {
  std::string plan;
  Money fee = 0;                    // a month, prorated by the time on the plan
  std::uint64_t transferBytes = 0;  // external, out, a calendar month; 0: no allowance is watched
  OverTransfer overTransfer = OverTransfer::charge;
  friend bool operator==(const PlanTerms&, const PlanTerms&) = default;
};

struct Tax {
  std::string name;
  std::uint32_t partsPerMillion = 0;
  friend bool operator==(const Tax&, const Tax&) = default;
};

struct PriceList {
  std::string name;
  std::string currency;  // ISO 4217
  std::int64_t from = 0;
  std::int64_t to = kOpenEnd;
  Money minimum = 0;
  std::vector<PriceItem> items;
  std::vector<PlanTerms> plans;
  std::vector<Tax> taxes;
  friend bool operator==(const PriceList&, const PriceList&) = default;
  [[nodiscard]] const PlanTerms* termsOf(const std::string& plan) const;
};

// A sentence for each two of its priced meters that count the same thing, or part of it, twice.
[[nodiscard]] std::vector<std::string> countedTwice(const PriceList& list);

[[nodiscard]] Result<PriceList> priceListFromJson(const std::string& text);
// The same list gives the same bytes.
[[nodiscard]] std::string toJson(const PriceList& list);

// The book: sorted by time.
using PriceBook = std::vector<PriceList>;
// Adds a list. An open list in front of it ends where the new one begins; any other overlap, a name that is taken or
// another currency than the list before is refused.
[[nodiscard]] Status addTo(PriceBook& book, const PriceList& list);
// The moment in `period` from which on no list holds; period.to when they cover it.
[[nodiscard]] std::int64_t firstGap(const PriceBook& book, const Period& period);

}  // namespace cloister::metering
