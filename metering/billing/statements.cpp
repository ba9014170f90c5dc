#include "metering/billing/statements.h"

#include <algorithm>
#include <set>
#include <utility>
#include <vector>

#include "metering/billing/accounts.h"
#include "metering/billing/invoices.h"

namespace cloister::metering {
namespace {

// The months whose rows and prices an invoice rests on: its own and those that it corrects.
std::set<Period> monthsOf(const Invoice& invoice) {
  std::set<Period> months = {invoice.period};
  for (const auto& line : invoice.lines) {
    if (line.kind == ChargeKind::correction) months.insert(monthOf(line.from));
  }
  return months;
}

// The keys that seals among these rows are of: a tenant need not know of hosts that it was never on.
Status writeNodes(Connection& database, const Invoice& invoice, std::uint64_t first, const std::vector<NodeKey>& nodes,
                  StatementWriter& writer) {
  auto query = database.prepare(
      "SELECT s.text, n.text FROM rows r JOIN batches b ON b.id = r.batch JOIN names s ON s.id = b.source"
      " JOIN names n ON n.id = r.note WHERE r.tenant = (SELECT id FROM names WHERE text = ?1)"
      " AND r.number BETWEEN ?2 AND ?3 AND r.meter = ?4");
  if (!query) return query.error();
  query->bind(1, std::string_view(invoice.tenantId)).bind(2, first).bind(3, invoice.lastRow);
  query->bind(4, static_cast<std::int64_t>(Meter::seal));
  std::set<std::pair<std::string, std::string>> used;
  Statement::Step step{};
  while ((step = query->step()) == Statement::Step::row) {
    if (const auto seal = parseSeal(std::string(query->bytes(1))))
      used.emplace(std::string(query->bytes(0)), seal->keyId);
  }
  if (step == Statement::Step::failed) return database.error();
  for (const auto& node : nodes) {
    if (used.contains({node.source, keyIdOf(node.publicKey)})) writer.node(node);
  }
  return {};
}

Status writePrices(Connection& database, const std::set<Period>& months, StatementWriter& writer) {
  const auto book = loadBook(database);
  if (!book) return book.error();
  for (const auto& list : *book) {
    const bool touches = std::any_of(months.begin(), months.end(),
                                     [&](const Period& month) { return list.from < month.to && list.to > month.from; });
    if (touches) writer.prices(list);
  }
  return {};
}

Status writeEvents(Connection& database, const std::string& tenantId, std::uint64_t before, StatementWriter& writer) {
  auto query = database.prepare(
      "SELECT e.number, e.at, n.text FROM lifecycle e JOIN names n ON n.id = e.note"
      " WHERE e.tenant = (SELECT id FROM names WHERE text = ?1) AND e.number < ?2 ORDER BY e.number");
  if (!query) return query.error();
  query->bind(1, std::string_view(tenantId)).bind(2, before);
  Statement::Step step{};
  while ((step = query->step()) == Statement::Step::row)
    writer.event(query->bits(0), query->integer(1), std::string(query->bytes(2)));
  return step == Statement::Step::failed ? Status(database.error()) : Status();
}

// The invoices that the corrections in this one are differences to.
Status writeBilled(Connection& database, const Invoice& invoice, const std::set<Period>& months,
                   StatementWriter& writer) {
  const auto others = listInvoices(database, invoice.tenantId);
  if (!others) return others.error();
  for (const auto& other : *others) {
    // Later ones had this one's corrections before them.
    if (other.period >= invoice.period || other.period < *months.begin()) continue;
    const auto found = findInvoice(database, other.id);
    if (!found) return found.error();
    if (found.value()) writer.billed(*found.value());
  }
  return {};
}

Status writeAnchor(Connection& database, const std::string& tenantId, std::uint64_t first, StatementWriter& writer) {
  std::string hash(32, '\0');
  if (first > 1) {
    auto query =
        database.prepare("SELECT hash FROM rows WHERE tenant = (SELECT id FROM names WHERE text = ?1) AND number = ?2");
    if (!query) return query.error();
    if (query->bind(1, std::string_view(tenantId)).bind(2, first - 1).step() != Statement::Step::row)
      return Error{"billing", "the row before the statement's first is not there", tenantId, 0};
    hash = query->bytes(0);
  }
  writer.anchor(first - 1, hash);
  return {};
}

}  // namespace

Status writeStatement(Connection& database, const Invoice& invoice, const SigningKey& key,
                      const std::vector<NodeKey>& nodes, const StatementWriter::Sink& sink) {
  const auto months = monthsOf(invoice);
  auto found = firstRowFrom(database, invoice.tenantId, months.begin()->from);
  if (!found) return found.error();
  // No row of these months: the anchor alone says where the chain stood.
  const std::uint64_t first = *found == 0 || *found > invoice.lastRow ? invoice.lastRow + 1 : *found;
  StatementWriter writer(sink);
  writer.begin(invoice, key.publicKey());
  if (auto done = writeNodes(database, invoice, first, nodes, writer); !done) return done;
  if (auto done = writePrices(database, months, writer); !done) return done;
  if (auto done = writeEvents(database, invoice.tenantId, first, writer); !done) return done;
  if (months.size() > 1) {
    if (auto done = writeBilled(database, invoice, months, writer); !done) return done;
  }
  if (auto done = writeAnchor(database, invoice.tenantId, first, writer); !done) return done;
  auto walked = eachRow(database, invoice.tenantId, first, invoice.lastRow, [&](const ChainedRow& row) {
    writer.row(row);
    return Status();
  });
  if (!walked) return walked;
  writer.end(invoice, key);
  return {};
}

}  // namespace cloister::metering
