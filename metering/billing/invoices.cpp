#include "metering/billing/invoices.h"

#include <algorithm>
#include <utility>

namespace cloister::metering {
namespace {

Error damaged(const std::string& id) {
  return Error{"billing", "an invoice on record cannot be read", id, 0};
}

// Whether a statement with these two parameters finds a row.
Result<bool> finds(Connection& database, Statement& statement, std::string_view first, std::int64_t second) {
  const auto step = statement.bind(1, first).bind(2, second).step();
  if (step == Statement::Step::failed) return database.error();
  statement.reset();
  return step == Statement::Step::row;
}

}  // namespace

Result<std::vector<InvoiceSummary>> listInvoices(Connection& database, const std::string& tenantId) {
  const bool all = tenantId.empty();
  auto query = database.prepare("SELECT id, tenant, period_from, period_to, currency, total, closed_at FROM invoices" +
                                std::string(all ? "" : " WHERE tenant = ?1") + " ORDER BY period_from DESC, id");
  if (!query) return query.error();
  if (!all) query->bind(1, std::string_view(tenantId));
  std::vector<InvoiceSummary> invoices;
  Statement::Step step{};
  while ((step = query->step()) == Statement::Step::row) {
    InvoiceSummary one;
    one.id = query->bytes(0);
    one.tenantId = query->bytes(1);
    one.period = {query->integer(2), query->integer(3)};
    one.currency = query->bytes(4);
    one.total = query->integer(5);
    one.closedAt = query->integer(6);
    invoices.push_back(std::move(one));
  }
  if (step == Statement::Step::failed) return database.error();
  return invoices;
}

Result<std::optional<Invoice>> findInvoice(Connection& database, const std::string& id) {
  auto query = database.prepare("SELECT body FROM invoices WHERE id = ?1");
  if (!query) return query.error();
  const auto step = query->bind(1, std::string_view(id)).step();
  if (step == Statement::Step::failed) return database.error();
  if (step == Statement::Step::done) return std::optional<Invoice>();
  auto invoice = invoiceFromJson(std::string(query->bytes(0)));
  if (!invoice) return damaged(id);
  return std::optional(std::move(invoice).value());
}

Result<Drafts> Drafts::open(Connection& database) {
  auto hours = HoursReader::open(database);
  if (!hours) return hours.error();
  Drafts drafts(database, std::move(hours).value());
  auto prepared = database.prepare(
      {{&drafts.closed_,
        "SELECT 1 FROM invoices WHERE tenant = ?1 AND period_from = ?2"
        " UNION ALL SELECT 1 FROM closed_months WHERE period_from = ?2 AND closed_at > 0"},
       {&drafts.bodies_, "SELECT id, body FROM invoices WHERE tenant = ?1 AND period_from >= ?2 ORDER BY id"},
       {&drafts.credits_,
        "SELECT id, text, remaining FROM credits WHERE tenant = ?1 AND remaining > 0 ORDER BY created_at, id"}});
  if (!prepared) return prepared.error();
  return drafts;
}

Result<Invoice> Drafts::make(const PriceBook& book, const std::string& tenantId, const std::string& name,
                             const Period& period) {
  InvoiceInput input;
  input.tenantId = tenantId;
  input.tenantName = name;
  input.period = period;
  const auto usage = hours_.input(tenantId, period);
  if (!usage) return usage.error();
  const auto charges = rate(book, *usage);
  if (!charges) return charges.error();
  input.lines = linesOf(*charges);
  const auto closed = finds(*database_, closed_, tenantId, period.from);
  if (!closed) return closed.error();
  if (!*closed) {
    auto late = corrections(book, tenantId, period);
    if (!late) return late.error();
    input.corrections = std::move(late).value();
    auto open = credits(tenantId);
    if (!open) return open.error();
    input.credits = std::move(open).value();
  }
  const auto reach = hours_.reach(tenantId);
  if (!reach) return reach.error();
  if (reach.value()) {
    input.lastRow = reach.value()->lastRow;
    input.head = reach.value()->head;
  }
  return makeInvoice(book, input);
}

Result<std::vector<InvoiceLine>> Drafts::corrections(const PriceBook& book, const std::string& tenantId,
                                                     const Period& upTo) {
  const auto months = hours_.lateMonths(tenantId, upTo);
  if (!months) return months.error();
  std::vector<InvoiceLine> all;
  for (const auto& month : *months) {
    const auto usage = hours_.input(tenantId, month);
    if (!usage) return usage.error();
    const auto charges = rate(book, *usage);
    if (!charges) return charges.error();
    const auto before = billed(tenantId, month);
    if (!before) return before.error();
    auto lines = correctionsOf(*before, linesOf(*charges));
    all.insert(all.end(), lines.begin(), lines.end());
  }
  return all;
}

Result<BilledMonth> Drafts::billed(const std::string& tenantId, const Period& period) {
  BilledMonth month;
  month.period = period;
  bodies_.bind(1, std::string_view(tenantId)).bind(2, period.from);
  Statement::Step step{};
  while ((step = bodies_.step()) == Statement::Step::row) {
    const auto invoice = invoiceFromJson(std::string(bodies_.bytes(1)));
    if (!invoice) return damaged(std::string(bodies_.bytes(0)));
    const auto lines = billedLines(*invoice, period);
    month.lines.insert(month.lines.end(), lines.begin(), lines.end());
  }
  if (step == Statement::Step::failed) return database_->error();
  bodies_.reset();
  return month;
}

Result<std::vector<Credit>> Drafts::credits(const std::string& tenantId) {
  std::vector<Credit> all;
  credits_.bind(1, std::string_view(tenantId));
  Statement::Step step{};
  while ((step = credits_.step()) == Statement::Step::row)
    all.push_back({std::string(credits_.bytes(0)), std::string(credits_.bytes(1)), credits_.integer(2)});
  if (step == Statement::Step::failed) return database_->error();
  credits_.reset();
  return all;
}

Result<Recorder> Recorder::open(Connection& database) {
  const std::string tenant = "(SELECT id FROM names WHERE text = ?1)";
  Recorder recorder(database);
  auto prepared = database.prepare(
      {{&recorder.moved_, "SELECT 1 FROM rolled WHERE tenant = " + tenant + " AND number <> ?2"},
       {&recorder.put_,
        "INSERT INTO invoices(id, tenant, period_from, period_to, last_row, total, currency, closed_at, body)"
        " VALUES(?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9) ON CONFLICT DO NOTHING RETURNING id"},
       {&recorder.takeCredit_, "UPDATE credits SET remaining = remaining + ?2 WHERE id = ?1"},
       {&recorder.clearLate_, "DELETE FROM late WHERE tenant = " + tenant + " AND period_from < ?2"}});
  if (!prepared) return prepared.error();
  return recorder;
}

Result<Recorder::Outcome> Recorder::record(const Invoice& invoice) {
  const auto moved = finds(*database_, moved_, invoice.tenantId, static_cast<std::int64_t>(invoice.lastRow));
  if (!moved) return moved.error();
  if (*moved) return Outcome::moved;
  const auto body = toJson(invoice);
  put_.bind(1, std::string_view(invoice.id)).bind(2, std::string_view(invoice.tenantId));
  put_.bind(3, invoice.period.from).bind(4, invoice.period.to).bind(5, invoice.lastRow).bind(6, invoice.total);
  const auto step = put_.bind(7, std::string_view(invoice.currency)).bind(8, invoice.closedAt).bind(9, body).step();
  if (step == Statement::Step::failed) return database_->error();
  put_.reset();
  if (step == Statement::Step::done) return Outcome::present;
  for (const auto& line : invoice.lines) {
    if (line.kind != ChargeKind::credit) continue;
    if (!takeCredit_.bind(1, std::string_view(line.sku)).bind(2, line.cost).run()) return database_->error();
  }
  if (!clearLate_.bind(1, std::string_view(invoice.tenantId)).bind(2, invoice.period.from).run())
    return database_->error();
  return Outcome::recorded;
}

}  // namespace cloister::metering
