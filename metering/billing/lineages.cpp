#include "metering/billing/lineages.h"

#include <algorithm>
#include <cstdint>
#include <iterator>
#include <map>
#include <set>
#include <utility>

#include "metering/billing/hours.h"
#include "metering/ledger/ledger_rows.h"

namespace cloister::metering {
namespace {

// The invoices that a tenant had before one.
struct Before {
  std::set<Period> months;
  std::uint64_t lastRow = 0;  // of the newest
};

Result<Before> invoicesBefore(Connection& database, const Invoice& invoice) {
  auto query = database.prepare(
      "SELECT period_from, last_row FROM invoices WHERE tenant = ?1 AND id <> ?2 AND last_row <= ?3"
      " AND (closed_at < ?4 OR (closed_at = ?4 AND period_from < ?5))");
  if (!query) return query.error();
  query->bind(1, std::string_view(invoice.tenantId)).bind(2, std::string_view(invoice.id)).bind(3, invoice.lastRow);
  // A draft comes after all that are closed.
  query->bind(4, invoice.closedAt == 0 ? INT64_MAX : invoice.closedAt).bind(5, invoice.period.from);
  Before before;
  Statement::Step step{};
  while ((step = query->step()) == Statement::Step::row) {
    before.months.insert(monthOf(query->integer(0)));
    before.lastRow = std::max(before.lastRow, query->bits(1));
  }
  if (step == Statement::Step::failed) return database.error();
  return before;
}

}  // namespace

Result<std::vector<MeteredHour>> meteredHoursOf(Connection& database, const Invoice& invoice) {
  auto reader = HoursReader::open(database);
  if (!reader) return reader.error();
  const auto before = invoicesBefore(database, invoice);
  if (!before) return before.error();
  std::vector<MeteredHour> all;
  if (!before->months.empty()) {
    const auto used = reader->monthsUsed(invoice.tenantId, before->lastRow, invoice.lastRow);
    if (!used) return used.error();
    for (const auto& month : *used) {
      if (month == invoice.period || !before->months.contains(month)) continue;
      auto late = reader->meteredHours(invoice.tenantId, month, before->lastRow, invoice.lastRow);
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
