#include "metering/ledger/ledger_query.h"

#include <algorithm>
#include <tuple>

namespace cloister::metering {

Result<std::vector<UsageSum>> sumRows(Connection& database, const UsageQuery& query) {
  const bool byInstance = query.group == UsageQuery::Group::instance;
  const bool byApp = byInstance || query.group == UsageQuery::Group::app;
  // Quantities are unsigned: summed in two halves, and compared with the sign bit turned round ((q|m) - (q&m) is q
  // xor m).
  std::string sql = "SELECT ";
  sql += byApp ? "(SELECT text FROM names WHERE id = g.app), " : "'', ";
  sql += byInstance ? "(SELECT text FROM names WHERE id = g.instance), " : "'', ";
  sql += "meter, high, low, highest, first_from, last_to FROM (SELECT ";
  if (byApp) sql += "r.app AS app, ";
  if (byInstance) sql += "r.instance AS instance, ";
  sql +=
      "r.meter AS meter, CAST(SUM((r.quantity >> 32) & 4294967295) AS BIGINT) AS high, "
      "CAST(SUM(r.quantity & 4294967295) AS BIGINT) AS low, "
      "MAX((r.quantity | (-9223372036854775807 - 1)) - (r.quantity & (-9223372036854775807 - 1))) AS highest, "
      "MIN(r.window_from) AS first_from, MAX(r.window_to) AS last_to FROM spans s JOIN rows r "
      "ON r.tenant = s.tenant AND r.number BETWEEN s.first AND s.last "
      "WHERE s.tenant = (SELECT id FROM names WHERE text = ?1) AND s.max_from >= ?2 AND s.min_from < ?3 "
      "AND r.window_from >= ?2 AND r.window_from < ?3";
  if (!query.appId.empty()) sql += " AND r.app = (SELECT id FROM names WHERE text = ?4)";
  if (!query.instanceId.empty()) {
    sql += std::string(" AND r.instance = (SELECT id FROM names WHERE text = ?") + (query.appId.empty() ? "4)" : "5)");
  }
  sql += " GROUP BY ";
  if (byApp) sql += "r.app, ";
  if (byInstance) sql += "r.instance, ";
  sql += "r.meter) g";
  auto rows = database.prepare(sql);
  if (!rows) return rows.error();
  rows->bind(1, std::string_view(query.tenantId)).bind(2, query.from).bind(3, query.to);
  int next = 4;
  if (!query.appId.empty()) rows->bind(next++, std::string_view(query.appId));
  if (!query.instanceId.empty()) rows->bind(next, std::string_view(query.instanceId));

  std::vector<UsageSum> sums;
  Statement::Step step{};
  while ((step = rows->step()) == Statement::Step::row) {
    const auto meter = rows->integer(2);
    if (meter < 0 || meter > static_cast<std::int64_t>(kLastMeter)) continue;
    UsageSum sum;
    sum.appId = rows->bytes(0);
    sum.instanceId = rows->bytes(1);
    sum.meter = static_cast<Meter>(meter);
    sum.quantity =
        isLevel(sum.meter) ? Quantity{rows->bits(5) ^ (1ULL << 63U)} : (Quantity{rows->bits(3)} << 32U) + rows->bits(4);
    sum.from = rows->integer(6);
    sum.to = rows->integer(7);
    sums.push_back(std::move(sum));
  }
  if (step == Statement::Step::failed) return database.error();
  std::sort(sums.begin(), sums.end(), [](const UsageSum& left, const UsageSum& right) {
    return std::tie(left.appId, left.instanceId, left.meter) < std::tie(right.appId, right.instanceId, right.meter);
  });
  return sums;
}

}  // namespace cloister::metering
