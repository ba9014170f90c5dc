#include "metering/ledger/ledger_evidence.h"

#include <algorithm>
#include <cerrno>

#include "metering/ledger/ledger_chain.h"

namespace cloister::metering {
namespace {

// A chain's last row says when it ended so: a head of a ledger of the first format does not know its batch.
constexpr const char* kEnds =
    "SELECT h.tenant, n.text, h.rows, h.hash, COALESCE(b.received, 0) FROM heads h JOIN names n ON n.id = h.tenant"
    " LEFT JOIN rows r ON r.tenant = h.tenant AND r.number = h.rows LEFT JOIN batches b ON b.id = r.batch ";

std::int64_t limitOf(std::size_t limit) {
  return static_cast<std::int64_t>(std::min<std::size_t>(limit, INT64_MAX));
}

Result<std::vector<ChainEnd>> endsIn(Connection& database, Statement& found) {
  std::vector<ChainEnd> all;
  Statement::Step step{};
  while ((step = found.step()) == Statement::Step::row) {
    auto& end = all.emplace_back();
    end.key = found.integer(0);
    end.tenantId = found.bytes(1);
    end.rows = found.bits(2);
    if (!toHash(found.bytes(3), end.hash))
      return Error{"ledger", "decode the head of " + end.tenantId, database.name(), EBADMSG};
    end.recordedAt = found.integer(4);
  }
  if (step == Statement::Step::failed) return database.error();
  return all;
}

}  // namespace

Result<ChainEnd> readEnd(Connection& database, const std::string& tenantId) {
  auto found = database.prepare(std::string(kEnds) + "WHERE n.text = ?1");
  if (!found) return found.error();
  found->bind(1, std::string_view(tenantId));
  auto ends = endsIn(database, *found);
  if (!ends) return ends.error();
  if (!ends->empty()) return std::move(ends->front());
  ChainEnd empty;
  empty.tenantId = tenantId;
  return empty;
}

Result<std::vector<ChainEnd>> listEnds(Connection& database, std::int64_t after, std::size_t limit) {
  auto found = database.prepare(std::string(kEnds) + "WHERE h.tenant > ?1 ORDER BY h.tenant LIMIT ?2");
  if (!found) return found.error();
  found->bind(1, after).bind(2, limitOf(limit));
  return endsIn(database, *found);
}

// Gap rows are few among many: they have an index of their own, which SQLite would not choose without being told.
Result<std::vector<GapRow>> listGaps(Connection& database, const GapQuery& query) {
  std::string sql =
      "SELECT r.tenant, r.number, t.text, s.text, a.text, i.text, r.quantity, r.window_from, r.window_to, n.text"
      " FROM rows r {sqlite: INDEXED BY gap_rows} JOIN batches b ON b.id = r.batch JOIN names t ON t.id = r.tenant"
      " JOIN names s ON s.id = b.source JOIN names a ON a.id = r.app JOIN names i ON i.id = r.instance"
      " JOIN names n ON n.id = r.note WHERE r.meter = 15 AND (r.tenant, r.number) > (?1, ?2)"
      " AND r.window_from >= ?3 AND r.window_from < ?4";
  if (!query.tenantId.empty()) sql += " AND r.tenant = (SELECT id FROM names WHERE text = ?6)";
  auto found = database.prepare(sql + " ORDER BY r.tenant, r.number LIMIT ?5");
  if (!found) return found.error();
  found->bind(1, query.afterChain).bind(2, query.afterNumber).bind(3, query.from).bind(4, query.to);
  found->bind(5, limitOf(query.limit));
  if (!query.tenantId.empty()) found->bind(6, std::string_view(query.tenantId));
  std::vector<GapRow> all;
  Statement::Step step{};
  while ((step = found->step()) == Statement::Step::row) {
    auto& gap = all.emplace_back();
    gap.chain = found->integer(0);
    gap.number = found->bits(1);
    gap.tenantId = found->bytes(2);
    gap.source = found->bytes(3);
    gap.appId = found->bytes(4);
    gap.instanceId = found->bytes(5);
    gap.milliseconds = found->bits(6);
    gap.from = found->integer(7);
    gap.to = found->integer(8);
    gap.reason = found->bytes(9);
  }
  if (step == Statement::Step::failed) return database.error();
  return all;
}

Result<std::vector<Anomaly>> listAnomalies(Connection& database, std::size_t limit, std::int64_t before) {
  auto found = database.prepare(
      "SELECT id, at, source, sequence, digest, stored, reason FROM anomalies"
      " WHERE id < ?1 ORDER BY id DESC LIMIT ?2");
  if (!found) return found.error();
  found->bind(1, before).bind(2, limitOf(limit));
  std::vector<Anomaly> all;
  Statement::Step step{};
  while ((step = found->step()) == Statement::Step::row) {
    std::string reason(found->bytes(6));
    if (reason.empty()) reason = "same sequence, other content";
    all.push_back({found->integer(0), found->integer(1), std::string(found->bytes(2)), found->bits(3),
                   hexadecimal(found->bytes(4)), hexadecimal(found->bytes(5)), std::move(reason)});
  }
  if (step == Statement::Step::failed) return database.error();
  return all;
}

}  // namespace cloister::metering
