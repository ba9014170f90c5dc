#include "metering/ledger/ledger_rows.h"

#include <algorithm>

namespace cloister::metering {
namespace {

constexpr std::uint64_t kRowsAPage = 10'000;

}  // namespace

Status eachRow(Connection& database, const std::string& tenantId, std::uint64_t first, std::uint64_t last,
               const std::function<Status(const ChainedRow&)>& visit) {
  auto rows = database.prepare(
      "SELECT r.number, s.text, b.sequence, o.text, a.text, i.text, r.meter, r.quantity, r.window_from, r.window_to,"
      " n.text, r.hash FROM rows r JOIN batches b ON b.id = r.batch JOIN names s ON s.id = b.source JOIN names o"
      " ON o.id = b.boot JOIN names a ON a.id = r.app JOIN names i ON i.id = r.instance JOIN names n ON n.id = r.note"
      " WHERE r.tenant = (SELECT id FROM names WHERE text = ?1) AND r.number BETWEEN ?2 AND ?3 ORDER BY r.number");
  if (!rows) return rows.error();
  ChainedRow one;
  one.row.tenantId = tenantId;
  // A result is held whole: in pages.
  for (std::uint64_t from = first; from <= last; from += kRowsAPage) {
    rows->bind(1, std::string_view(tenantId)).bind(2, from).bind(3, std::min(last, from + kRowsAPage - 1));
    Statement::Step step{};
    while ((step = rows->step()) == Statement::Step::row) {
      one.number = rows->bits(0);
      one.source = rows->bytes(1);
      one.sequence = rows->bits(2);
      one.bootId = rows->bytes(3);
      one.row.appId = rows->bytes(4);
      one.row.instanceId = rows->bytes(5);
      one.row.meter = static_cast<Meter>(rows->integer(6));
      one.row.quantity = rows->bits(7);
      one.row.from = rows->integer(8);
      one.row.to = rows->integer(9);
      one.row.note = rows->bytes(10);
      one.hash = rows->bytes(11);
      if (auto visited = visit(one); !visited) return visited;
    }
    if (step == Statement::Step::failed) return database.error();
    rows->reset();
  }
  return {};
}

Result<std::uint64_t> firstRowFrom(Connection& database, const std::string& tenantId, std::int64_t from) {
  auto query = database.prepare(
      "SELECT COALESCE(MIN(first), 0) FROM spans WHERE tenant = (SELECT id FROM names WHERE text = ?1)"
      " AND max_from >= ?2");
  if (!query) return query.error();
  if (query->bind(1, std::string_view(tenantId)).bind(2, from).step() != Statement::Step::row) return database.error();
  return query->bits(0);
}

}  // namespace cloister::metering
