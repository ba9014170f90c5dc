// Rating: a tenant's usage of a month and the price book make charges. Pure: the same input gives the same charges.
//
// Usage comes by the hour, app and meter. Of an item, the hours of one price list go through its tiers in the order of
// time, then app: with C(q) = the exact price of the first q base units, rounded once to a micro-unit, an hour that
// takes the sum from a to b costs C(b) - C(a), in a charge for each tier that it touches. So hours add up to their
// line, and lines to the invoice, without a difference. What is included and the tiers' ends shrink with the part of
// the month that a list covers, in hours, rounded down; fees and the minimum with the time that a plan was held,
// rounded to the micro-unit.
//
// Charges before tax, in this order: usage, fees, and what lacks to the minimum. Corrections, credits, taxes and the
// rounding to the currency's smallest coin are an invoice's (invoice.h).
//
// Threads: pure functions. Failures: Error{stage "rating", operation = the reason, path = what it is about}: an hour
// that no list covers, an amount beyond 63 bits (code ERANGE).
#pragma once

#include <string>
#include <vector>

#include "metering/base/lifecycle.h"
#include "metering/rating/price_list.h"

namespace cloister::metering {

struct HourUsage {
  std::int64_t hour = 0;  // its first moment
  std::string appId;      // empty: the tenant itself
  Meter meter = Meter::cpu;
  Quantity quantity = 0;
};

// When a tenant was on a plan.
struct PlanSpan {
  std::int64_t from = 0;
  std::int64_t to = kOpenEnd;
  std::string plan;
  friend bool operator==(const PlanSpan&, const PlanSpan&) = default;
};

enum class ChargeKind { usage, fee, minimum, correction, credit, tax, rounding };
[[nodiscard]] const char* chargeKindName(ChargeKind kind);
[[nodiscard]] bool chargeKindFromName(const std::string& name, ChargeKind& kind);

// From a tenant's life-cycle events in order of time: each "plan" event ends one span and begins the next.
[[nodiscard]] std::vector<PlanSpan> spansOf(const std::vector<LifecycleEvent>& events);

struct Charge {
  ChargeKind kind = ChargeKind::usage;
  std::string sku;
  std::string appId;
  std::string priceList;
  std::int64_t from = 0;
  std::int64_t to = 0;
  Meter meter = Meter::cpu;  // of usage
  std::string unit;          // of usage: PricingUnit::name
  Quantity quantity = 0;     // of usage: base units
  UnitPrice listPrice = 0;   // of usage: of the tier
  Money cost = 0;
};

struct RatingInput {
  Period period;
  std::vector<HourUsage> usage;  // any order; hours outside the period are left out
  std::vector<PlanSpan> plans;
};

// Sorted by list, sku, hour, app.
[[nodiscard]] Result<std::vector<Charge>> rate(const PriceBook& book, const RatingInput& input);
[[nodiscard]] Money sumOf(const std::vector<Charge>& charges);

}  // namespace cloister::metering
