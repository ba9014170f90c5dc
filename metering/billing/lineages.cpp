#include "metering/billing/lineages.h"

#include <cstdint>
#include <iterator>
#include <map>
#include <set>
#include <utility>

#include "metering/billing/hours.h"
#include "metering/ledger/ledger_rows.h"

namespace cloister::metering {
namespace {

// The newest row that the tenant's invoices before this one rest on.
Result<std::uint64_t> lastRowBefore(Connection& database, const Invoice& invoice) {
  auto query = database.prepare(
      "SELECT COALESCE(MAX(last_row), 0) FROM invoices WHERE tenant = ?1 AND id <> ?2 AND last_row <= ?3"
      " AND (closed_at < ?4 OR (closed_at = ?4 AND period_from < ?5))");
  if (!query) return query.error();
  query->bind(1, std::string_view(invoice.tenantId)).bind(2, std::string_view(invoice.id)).bind(3, invoice.lastRow);
  // A draft comes after all that are closed.
  query->bind(4, invoice.closedAt == 0 ? INT64_MAX : invoice.closedAt).bind(5, invoice.period.from);
  if (query->step() != Statement::Step::row) return database.error();
  return query->bits(0);
}

// Also those for which the tenant got no invoice.
Result<std::set<Period>> monthsClosedBefore(Connection& database, const Period& period) {
  auto query =
      database.prepare("SELECT period_from, period_to FROM closed_months WHERE period_from < ?1 AND closed_at > 0");
  if (!query) return query.error();
  query->bind(1, period.from);
  std::set<Period> months;
  Statement::Step step{};
  while ((step = query->step()) == Statement::Step::row) months.insert({query->integer(0), query->integer(1)});
  if (step == Statement::Step::failed) return database.error();
  return months;
}

}  // namespace

Result<std::vector<MeteredHour>> meteredHoursOf(Connection& database, const Invoice& invoice) {
  auto reader = HoursReader::open(database);
  if (!reader) return reader.error();
  const auto closed = monthsClosedBefore(database, invoice.period);
  if (!closed) return closed.error();
  std::vector<MeteredHour> all;
  if (!closed->empty()) {
    const auto before = lastRowBefore(database, invoice);
    if (!before) return before.error();
    const auto used = reader->monthsUsed(invoice.tenantId, *before, invoice.lastRow);
    if (!used) return used.error();
    for (const auto& month : *used) {
      if (!closed->contains(month)) continue;
      auto late = reader->meteredHours(invoice.tenantId, month, *before, invoice.lastRow);
      if (!late) return late.error();
      std::move(late->begin(), late->end(), std::back_inserter(all));
    }
  }
  auto own = reader->meteredHours(invoice.tenantId, invoice.period, 0, invoice.lastRow);
  if (!own) return own.error();
  std::move(own->begin(), own->end(), std::back_inserter(all));
  return all;
}

Result<Lineage> lineageFrom(Connection& database, const Invoice& invoice) {
  auto reader = HoursReader::open(database);
  if (!reader) return reader.error();
  const auto hours = reader->meteredHours(invoice.tenantId, invoice.period, 0, invoice.lastRow);
  if (!hours) return hours.error();
  std::map<Period, std::uint64_t> firstRows;
  for (const auto& line : invoice.lines) {
    const Period month{line.from, line.to};
    if (line.kind != ChargeKind::correction || firstRows.contains(month)) continue;
    const auto first = firstRowFrom(database, invoice.tenantId, month.from);
    if (!first) return first.error();
    firstRows.emplace(month, *first);
  }
  auto plans = reader->planRows(invoice.tenantId, invoice.lastRow);
  if (!plans) return plans.error();
  return Lineage(invoice, *hours, std::move(firstRows), std::move(plans).value());
}

}  // namespace cloister::metering
