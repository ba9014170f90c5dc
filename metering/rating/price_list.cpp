#include "metering/rating/price_list.h"

#include <algorithm>
#include <array>

namespace cloister::metering {
namespace {

struct Overlap {
  Meter first;
  Meter second;
  const char* why;
};
constexpr std::array kOverlaps = {
    Overlap{Meter::memoryByteSeconds, Meter::memoryAllocated, "what is used is part of what is allocated"},
    Overlap{Meter::memoryByteSeconds, Meter::diskByteSeconds,
            "hosts that keep writable files in memory count them as memory too"},
    Overlap{Meter::blockRead, Meter::blockReads, "both count the same reads, by size and by number"},
    Overlap{Meter::blockWritten, Meter::blockWrites, "both count the same writes, by size and by number"},
    Overlap{Meter::cpu, Meter::cpuThrottled, "throttled time is none of use: the same limit makes both"},
};

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

std::vector<std::string> countedTwice(const PriceList& list) {
  const auto priced = [&](Meter meter) {
    return std::any_of(list.items.begin(), list.items.end(), [&](const auto& item) { return item.meter == meter; });
  };
  std::vector<std::string> found;
  for (const auto& [first, second, why] : kOverlaps) {
    if (priced(first) && priced(second))
      found.push_back(std::string(meterName(first)) + " and " + meterName(second) + " both have a price: " + why);
  }
  return found;
}

std::int64_t firstGap(const PriceBook& book, const Period& period) {
  std::int64_t covered = period.from;
  for (const auto& list : book) {
    if (list.from <= covered && list.to > covered) covered = list.to;
  }
  return std::min(covered, period.to);
}

}  // namespace cloister::metering
