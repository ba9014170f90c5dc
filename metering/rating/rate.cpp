#include "metering/rating/rate.h"

#include <algorithm>
#include <array>
#include <cerrno>
#include <map>
#include <tuple>

namespace cloister::metering {
namespace {

constexpr std::array kKinds = {"usage", "fee", "minimum", "correction", "credit", "tax", "rounding"};

Error tooLarge(const std::string& what, const std::string& about) {
  return Error{"rating", "the " + what + " is beyond what an invoice can hold", about, ERANGE};
}

// A list and the part of the month that it covers.
struct Stretch {
  const PriceList& list;
  Period covered;
  Period month;
  [[nodiscard]] std::int64_t hours() const { return (covered.to - covered.from) / kHour; }
  [[nodiscard]] std::int64_t monthHours() const { return (month.to - month.from) / kHour; }
};

std::vector<Stretch> stretchesOf(const PriceBook& book, const Period& period) {
  std::vector<Stretch> stretches;
  for (const auto& list : book) {
    const Period covered{std::max(list.from, period.from), std::min(list.to, period.to)};
    if (covered.from < covered.to) stretches.push_back({list, covered, period});
  }
  return stretches;
}

// C(q) of rate.h, for growing q.
class Ladder {
 public:
  Ladder(const PriceItem& item, const Stretch& stretch) : per_(item.per()) {
    const auto prorated = [&](std::uint64_t units) {
      return shareOf(Quantity{units} * per_, stretch.hours(), stretch.monthHours());
    };
    Quantity begin = prorated(item.included);
    if (begin != 0) steps_.push_back({begin, 0});
    const Quantity included = begin;
    for (const auto& tier : item.tiers) {
      const Quantity end = tier.upTo == kNoEnd ? ~Quantity{0} : included + prorated(tier.upTo);
      steps_.push_back({end, tier.price});
    }
  }

  // A part of a quantity that lies in one tier.
  struct Part {
    Quantity quantity = 0;
    UnitPrice price = 0;
    Money cost = 0;
  };
  // The parts of `quantity` more; nothing when the sum passes 63 bits.
  std::optional<std::vector<Part>> take(Quantity quantity) {
    std::vector<Part> parts;
    const Quantity until = sum_ + quantity;
    while (sum_ < until) {
      const Step& step = steps_.at(at_);
      const Quantity part = std::min(until, step.end) - sum_;
      Quantity product = 0;
      if (__builtin_mul_overflow(part, static_cast<Quantity>(step.price), &product) ||
          __builtin_add_overflow(numerator_, product, &numerator_))
        return std::nullopt;
      const auto cost = roundedCost(numerator_, per_ * static_cast<Quantity>(kNanosAMicro));
      if (!cost) return std::nullopt;
      if (part != 0) parts.push_back({part, step.price, *cost - cost_});
      cost_ = *cost;
      sum_ += part;
      if (sum_ == step.end) ++at_;
    }
    return parts;
  }

 private:
  struct Step {
    Quantity end;
    UnitPrice price;
  };
  std::vector<Step> steps_;
  Quantity per_;
  std::size_t at_ = 0;
  Quantity sum_ = 0;
  Quantity numerator_ = 0;  // exact, in nano-units x base units
  Money cost_ = 0;
};

// The hours of one meter in one stretch, by time, then app.
using Hours = std::map<std::pair<std::int64_t, std::string>, Quantity>;

Status chargeItem(const Stretch& stretch, const PriceItem& item, const Hours& hours, std::vector<Charge>& charges) {
  Ladder ladder(item, stretch);
  for (const auto& [where, quantity] : hours) {
    const auto parts = ladder.take(quantity);
    if (!parts) return tooLarge("amount", item.sku);
    for (const auto& part : *parts) {
      Charge charge;
      charge.sku = item.sku;
      charge.appId = where.second;
      charge.priceList = stretch.list.name;
      charge.from = where.first;
      charge.to = where.first + kHour;
      charge.meter = item.meter;
      charge.unit = item.unit;
      charge.quantity = part.quantity;
      charge.listPrice = part.price;
      charge.cost = part.cost;
      charges.push_back(std::move(charge));
    }
  }
  return {};
}

Charge flat(ChargeKind kind, const std::string& sku, const Stretch& stretch, const Period& span, Money cost) {
  Charge charge;
  charge.kind = kind;
  charge.sku = sku;
  charge.priceList = stretch.list.name;
  charge.from = span.from;
  charge.to = span.to;
  charge.cost = cost;
  return charge;
}

// Fees of the plans held while the list was valid; `held` grows by the time on any plan.
void chargeFees(const Stretch& stretch, const std::vector<PlanSpan>& plans, std::vector<Charge>& charges,
                std::int64_t& held) {
  for (const auto& plan : plans) {
    const Period span{std::max(plan.from, stretch.covered.from), std::min(plan.to, stretch.covered.to)};
    if (span.from >= span.to) continue;
    held += span.to - span.from;
    const auto* terms = stretch.list.termsOf(plan.plan);
    if (terms == nullptr || terms->fee == 0) continue;
    const Money cost = share(terms->fee, span.to - span.from, stretch.month.to - stretch.month.from);
    charges.push_back(flat(ChargeKind::fee, "plan-" + plan.plan, stretch, span, cost));
  }
}

}  // namespace

const char* chargeKindName(ChargeKind kind) {
  return kKinds.at(static_cast<std::size_t>(kind));
}

bool chargeKindFromName(const std::string& name, ChargeKind& kind) {
  for (std::size_t i = 0; i < kKinds.size(); ++i) {
    if (name != kKinds.at(i)) continue;
    kind = static_cast<ChargeKind>(i);
    return true;
  }
  return false;
}

std::vector<PlanSpan> spansOf(const std::vector<LifecycleEvent>& events) {
  std::vector<PlanSpan> spans;
  for (const auto& event : events) {
    if (event.what != "plan") continue;
    if (!spans.empty() && spans.back().to == kOpenEnd) spans.back().to = event.at;
    if (!event.current.empty()) spans.push_back({event.at, kOpenEnd, event.current});
  }
  return spans;
}

Result<std::vector<Charge>> rate(const PriceBook& book, const RatingInput& input) {
  const auto stretches = stretchesOf(book, input.period);
  std::vector<std::map<Meter, Hours>> used(stretches.size());
  for (const auto& usage : input.usage) {
    if (!input.period.contains(usage.hour) || usage.quantity == 0) continue;
    const auto found = std::find_if(stretches.begin(), stretches.end(),
                                    [&](const Stretch& one) { return one.covered.contains(usage.hour); });
    if (found == stretches.end()) return Error{"rating", "no price list covers the hour of", utcText(usage.hour), 0};
    used.at(static_cast<std::size_t>(found - stretches.begin()))[usage.meter][{usage.hour, usage.appId}] +=
        usage.quantity;
  }
  std::vector<Charge> charges;
  Money minimum = 0;
  std::int64_t covered = 0;
  for (std::size_t i = 0; i < stretches.size(); ++i) {
    const auto& stretch = stretches[i];
    for (const auto& item : stretch.list.items) {
      const auto hours = used[i].find(item.meter);
      if (hours == used[i].end()) continue;
      if (auto done = chargeItem(stretch, item, hours->second, charges); !done) return done.error();
    }
    std::int64_t held = 0;
    chargeFees(stretch, input.plans, charges, held);
    minimum += share(stretch.list.minimum, held, input.period.to - input.period.from);
    covered += held;
  }
  Money sum = 0;
  for (const auto& charge : charges) {
    if (__builtin_add_overflow(sum, charge.cost, &sum)) return tooLarge("sum", charge.sku);
  }
  if (covered > 0 && sum < minimum)
    charges.push_back(flat(ChargeKind::minimum, "minimum", stretches.back(), input.period, minimum - sum));
  std::stable_sort(charges.begin(), charges.end(), [](const Charge& left, const Charge& right) {
    return std::tie(left.kind, left.priceList, left.sku, left.from, left.appId) <
           std::tie(right.kind, right.priceList, right.sku, right.from, right.appId);
  });
  return charges;
}

Money sumOf(const std::vector<Charge>& charges) {
  Money sum = 0;
  for (const auto& charge : charges) sum += charge.cost;
  return sum;
}

}  // namespace cloister::metering
