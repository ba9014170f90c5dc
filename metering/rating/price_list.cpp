#include "metering/rating/price_list.h"

#include <algorithm>

namespace cloister::metering {
namespace {

Error refused(const std::string& reason, const std::string& field) {
  return Error{"price list", reason, field, 0};
}

}  // namespace

const PlanTerms* PriceList::termsOf(const std::string& plan) const {
  const auto found = std::find_if(plans.begin(), plans.end(), [&](const auto& terms) { return terms.plan == plan; });
  return found == plans.end() ? nullptr : &*found;
}

Status addTo(PriceBook& book, const PriceList& list) {
  PriceBook next = book;
  for (auto& present : next) {
    if (present.name == list.name) return refused("the book has a list of this name", "name");
    if (present.currency != list.currency)
      return refused("the book's currency is " + present.currency + ", and one invoice has one", "currency");
    if (present.to == kOpenEnd && present.from < list.from) present.to = list.from;
    if (present.from < list.to && list.from < present.to)
      return refused("overlaps \"" + present.name + "\", which holds from " + utcText(present.from), "from");
  }
  next.push_back(list);
  std::sort(next.begin(), next.end(), [](const auto& left, const auto& right) { return left.from < right.from; });
  book = std::move(next);
  return {};
}

std::int64_t firstGap(const PriceBook& book, const Period& period) {
  std::int64_t covered = period.from;
  for (const auto& list : book) {
    if (list.from <= covered && list.to > covered) covered = list.to;
  }
  return std::min(covered, period.to);
}

}  // namespace cloister::metering
