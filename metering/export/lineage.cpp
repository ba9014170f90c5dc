#include "metering/export/lineage.h"

#include <algorithm>
#include <utility>

namespace cloister::metering {
namespace {

// The lower of two rows, of which 0 is none.
std::uint64_t earlier(std::uint64_t left, std::uint64_t right) {
  return left == 0 || right == 0 ? std::max(left, right) : std::min(left, right);
}

}  // namespace

Lineage::Lineage(const Invoice& invoice, const std::vector<MeteredHour>& hours,
                 std::map<Period, std::uint64_t> firstRows, std::vector<PlanRow> plans)
    : firstRows_(std::move(firstRows)), plans_(std::move(plans)), whole_{0, invoice.lastRow, invoice.head} {
  for (const auto& [usage, rows] : hours) {
    hours_[{usage.hour, usage.appId, usage.meter}] = rows;
    whole_.first = earlier(whole_.first, rows.first);
  }
  for (const auto& line : invoice.lines) whole_.first = earlier(whole_.first, firstOf(line));
}

RowRange Lineage::of(const Charge& charge) const {
  const auto found = hours_.find({charge.from, charge.appId, charge.meter});
  return found == hours_.end() ? whole_ : found->second;
}

RowRange Lineage::of(const InvoiceLine& line) const {
  RowRange rows = whole_;
  if (line.kind == ChargeKind::fee || line.kind == ChargeKind::correction) rows.first = firstOf(line);
  return rows;
}

std::uint64_t Lineage::firstOf(const InvoiceLine& line) const {
  const Period span{line.from, line.to};
  if (line.kind == ChargeKind::fee || line.kind == ChargeKind::minimum) return firstPlan(span);
  if (line.kind != ChargeKind::correction) return 0;
  const auto found = firstRows_.find(span);
  const std::uint64_t first = found == firstRows_.end() ? 0 : found->second;
  return line.unit.empty() ? earlier(first, firstPlan(span)) : first;
}

std::uint64_t Lineage::firstPlan(const Period& span) const {
  std::uint64_t first = 0;
  for (const auto& plan : plans_) {
    if (plan.at > span.to) break;
    // The last event before the span says what was held as it began.
    first = plan.at <= span.from ? plan.row : earlier(first, plan.row);
  }
  return first;
}

}  // namespace cloister::metering
