#include "metering/billing/hours.h"

#include <utility>

#include "metering/base/lifecycle.h"
#include "metering/base/sha256.h"

namespace cloister::metering {
namespace {

std::string billable() {
  std::string list;
  for (std::size_t i = 0; i <= static_cast<std::size_t>(kLastMeter); ++i) {
    const auto meter = static_cast<Meter>(i);
    if (!isBillable(meter)) continue;
    list += (list.empty() ? "" : ", ") + std::to_string(i);
  }
  return '(' + list + ')';
}

std::string number(Meter meter) {
  return std::to_string(static_cast<unsigned>(meter));
}

const std::string kHigh = "CAST(SUM((r.quantity >> 32) & 4294967295) AS BIGINT)";
const std::string kLow = "CAST(SUM(r.quantity & 4294967295) AS BIGINT)";
const std::string kLongestMonth = std::to_string(31 * 24 * kHour);
const std::string kHourOfRow = "r.window_from - r.window_from % 3600000000";
// The rows of a chain that are not in `hours` yet: by its tenant, for a database that begins with the rows reads the
// whole ledger each time. It must be told.
const std::string kNewRows =
    "FROM heads h LEFT JOIN rolled d ON d.tenant = h.tenant "
    "{sqlite: CROSS JOIN rows r ON r.tenant = h.tenant AND r.number > COALESCE(d.number, 0) AND r.number <= h.rows}"
    "{postgres: JOIN LATERAL (SELECT * FROM rows w WHERE w.tenant = h.tenant AND w.number > COALESCE(d.number, 0)"
    " AND w.number <= h.rows OFFSET 0) r ON TRUE} ";

// What others say of plans changes no fee. Scalar, so that no database looks at batches but for these few rows.
const std::string kOwnRow =
    "(SELECT b.source FROM batches b WHERE b.id = r.batch) = (SELECT id FROM names WHERE text = '" +
    std::string(kControlPlane) + "')";

Status run(Connection& database, const std::string& sql) {
  return database.exec(sql.c_str());
}

Quantity joined(std::uint64_t high, std::uint64_t low) {
  return (Quantity{high} << 32U) + low;
}

HourUsage usageIn(const Statement& statement) {
  HourUsage usage;
  usage.hour = statement.integer(0);
  usage.appId = statement.bytes(1);
  usage.meter = static_cast<Meter>(statement.integer(2));
  usage.quantity = joined(statement.bits(3), statement.bits(4));
  return usage;
}

}  // namespace

Status rollUpAll(Connection& database) {
  Transaction transaction(database);
  if (auto begun = transaction.begin(); !begun) return begun;
  // Few rows are of closed months, and the scalar finds them without a look at each. While a month is being closed, a
  // tenant whose invoice is written is done with it already.
  const std::string late = "INSERT INTO late SELECT DISTINCT r.tenant, c.period_from " + kNewRows +
                           "AND r.window_from < (SELECT COALESCE(MAX(period_to), 0) FROM closed_months)"
                           " JOIN names n ON n.id = r.tenant JOIN closed_months c ON r.window_from < c.period_to"
                           " AND (c.closed_at > 0 OR EXISTS (SELECT 1 FROM invoices i WHERE i.tenant = n.text"
                           " AND i.period_from = c.period_from)) ";
  for (const std::string& sql :
       {"INSERT INTO hours SELECT r.tenant, " + kHourOfRow + " AS hour, r.app, r.meter, " + kHigh + ", " + kLow + ' ' +
            kNewRows + "WHERE r.meter IN " + billable() +
            " GROUP BY r.tenant, hour, r.app, r.meter ON CONFLICT(tenant, hour, app, meter) DO UPDATE SET"
            " high = hours.high + excluded.high, low = hours.low + excluded.low",
        "INSERT INTO lifecycle SELECT r.tenant, r.number, r.window_from, r.note " + kNewRows +
            "WHERE r.meter = " + number(Meter::lifecycle) + " AND " + kOwnRow,
        late + "AND c.period_from BETWEEN r.window_from - " + kLongestMonth + " AND r.window_from WHERE r.meter IN " +
            billable() + " ON CONFLICT DO NOTHING",
        late + "JOIN names t ON t.id = r.note AND t.text LIKE 'plan %' WHERE r.meter = " + number(Meter::lifecycle) +
            " AND " + kOwnRow + " ON CONFLICT DO NOTHING",
        std::string("INSERT INTO rolled SELECT tenant, rows FROM heads WHERE rows > 0"
                    " ON CONFLICT(tenant) DO UPDATE SET number = excluded.number")}) {
    if (auto done = run(database, sql); !done) return done;
  }
  return transaction.commit();
}

Result<std::map<std::string, Quantity>> usedByTenant(Connection& database, const Period& period, Meter meter) {
  auto query = database.prepare(
      "SELECT n.text, CAST(SUM(h.high) AS BIGINT), CAST(SUM(h.low) AS BIGINT) FROM hours h JOIN names n"
      " ON n.id = h.tenant WHERE h.meter = ?1 AND h.hour >= ?2 AND h.hour < ?3 GROUP BY n.text");
  if (!query) return query.error();
  query->bind(1, static_cast<std::int64_t>(meter)).bind(2, period.from).bind(3, period.to);
  std::map<std::string, Quantity> used;
  Statement::Step step{};
  while ((step = query->step()) == Statement::Step::row)
    used.emplace(query->bytes(0), joined(query->bits(1), query->bits(2)));
  if (step == Statement::Step::failed) return database.error();
  return used;
}

Result<HoursReader> HoursReader::open(Connection& database) {
  HoursReader reader(database);
  const std::string tenant = "(SELECT id FROM names WHERE text = ?1)";
  const std::string hoursOfRows = "SELECT r.tenant AS tenant, " + kHourOfRow +
                                  " AS hour, r.app AS app, r.meter AS meter, " + kHigh + " AS high, " + kLow +
                                  " AS low, MIN(r.number) AS lowest, MAX(r.number) AS highest FROM spans s JOIN rows r"
                                  " ON r.tenant = s.tenant AND r.number BETWEEN s.first AND s.last WHERE s.tenant = " +
                                  tenant +
                                  " AND s.max_from >= ?2 AND s.min_from < ?3 AND s.first <= ?4 AND r.window_from >= ?2"
                                  " AND r.window_from < ?3 AND r.number <= ?4 AND r.meter IN " +
                                  billable() + " GROUP BY r.tenant, hour, r.app, r.meter";
  if (auto prepared = database.prepare(
          {{&reader.hours_,
            "SELECT h.hour, a.text, h.meter, h.high, h.low FROM hours h JOIN names a ON a.id = h.app"
            " WHERE h.tenant = " +
                tenant + " AND h.hour >= ?2 AND h.hour < ?3"},
           {&reader.metered_, "SELECT g.hour, a.text, g.meter, g.high, g.low, g.lowest, g.highest, l.hash FROM (" +
                                  hoursOfRows +
                                  " HAVING MAX(r.number) > ?5) g JOIN names a ON a.id = g.app JOIN rows l"
                                  " ON l.tenant = g.tenant AND l.number = g.highest ORDER BY g.hour, a.text, g.meter"},
           {&reader.used_, "SELECT DISTINCT " + kHourOfRow + " FROM rows r WHERE r.tenant = " + tenant +
                               " AND r.number > ?2 AND r.number <= ?3 AND r.meter IN " + billable()},
           {&reader.reach_,
            "SELECT d.number, r.hash FROM rolled d JOIN rows r ON r.tenant = d.tenant AND r.number = d.number"
            " WHERE d.tenant = " +
                tenant},
           {&reader.late_,
            "SELECT period_from FROM late WHERE tenant = " + tenant + " AND period_from < ?2 ORDER BY period_from"},
           {&reader.lifecycle_,
            "SELECT e.at, n.text, e.number FROM lifecycle e JOIN names n ON n.id = e.note WHERE e.tenant = " + tenant +
                " AND e.number <= ?2 ORDER BY e.at, e.number"}});
      !prepared)
    return prepared.error();
  return reader;
}

Result<RatingInput> HoursReader::input(const std::string& tenantId, const Period& period) {
  RatingInput input;
  input.period = period;
  hours_.bind(1, std::string_view(tenantId)).bind(2, period.from).bind(3, period.to);
  Statement::Step step{};
  while ((step = hours_.step()) == Statement::Step::row) input.usage.push_back(usageIn(hours_));
  if (step == Statement::Step::failed) return database_->error();
  hours_.reset();
  auto held = plans(tenantId, INT64_MAX);
  if (!held) return held.error();
  input.plans = std::move(held).value();
  return input;
}

Result<RatingInput> HoursReader::inputUpTo(const std::string& tenantId, const Period& period, std::uint64_t lastRow) {
  auto hours = meteredHours(tenantId, period, 0, lastRow);
  if (!hours) return hours.error();
  RatingInput input;
  input.period = period;
  for (auto& hour : *hours) input.usage.push_back(std::move(hour.usage));
  auto held = plans(tenantId, lastRow);
  if (!held) return held.error();
  input.plans = std::move(held).value();
  return input;
}

Result<std::vector<MeteredHour>> HoursReader::meteredHours(const std::string& tenantId, const Period& period,
                                                           std::uint64_t after, std::uint64_t lastRow) {
  metered_.bind(1, std::string_view(tenantId)).bind(2, period.from).bind(3, period.to).bind(4, lastRow);
  metered_.bind(5, after);
  std::vector<MeteredHour> hours;
  Statement::Step step{};
  while ((step = metered_.step()) == Statement::Step::row)
    hours.push_back({usageIn(metered_), {metered_.bits(5), metered_.bits(6), hexadecimal(metered_.bytes(7))}});
  if (step == Statement::Step::failed) return database_->error();
  metered_.reset();
  return hours;
}

Result<std::set<Period>> HoursReader::monthsUsed(const std::string& tenantId, std::uint64_t after,
                                                 std::uint64_t lastRow) {
  std::set<Period> months;
  used_.bind(1, std::string_view(tenantId)).bind(2, after).bind(3, lastRow);
  Statement::Step step{};
  while ((step = used_.step()) == Statement::Step::row) months.insert(monthOf(used_.integer(0)));
  if (step == Statement::Step::failed) return database_->error();
  used_.reset();
  return months;
}

Result<std::vector<HoursReader::Recorded>> HoursReader::events(const std::string& tenantId, std::uint64_t lastRow) {
  lifecycle_.bind(1, std::string_view(tenantId)).bind(2, lastRow);
  std::vector<Recorded> all;
  Statement::Step step{};
  while ((step = lifecycle_.step()) == Statement::Step::row) {
    auto event = parseLifecycle(std::string(lifecycle_.bytes(1)));
    if (!event) continue;
    event->at = lifecycle_.integer(0);
    all.push_back({std::move(*event), lifecycle_.bits(2)});
  }
  if (step == Statement::Step::failed) return database_->error();
  lifecycle_.reset();
  return all;
}

Result<std::vector<PlanSpan>> HoursReader::plans(const std::string& tenantId, std::uint64_t lastRow) {
  auto recorded = events(tenantId, lastRow);
  if (!recorded) return recorded.error();
  std::vector<LifecycleEvent> all;
  for (auto& one : *recorded) all.push_back(std::move(one.event));
  return spansOf(all);
}

Result<std::vector<PlanRow>> HoursReader::planRows(const std::string& tenantId, std::uint64_t lastRow) {
  const auto recorded = events(tenantId, lastRow);
  if (!recorded) return recorded.error();
  std::vector<PlanRow> rows;
  for (const auto& [event, row] : *recorded) {
    if (event.what == "plan") rows.push_back({event.at, row});
  }
  return rows;
}

Result<std::optional<Reach>> HoursReader::reach(const std::string& tenantId) {
  std::optional<Reach> found;
  const auto step = reach_.bind(1, std::string_view(tenantId)).step();
  if (step == Statement::Step::failed) return database_->error();
  if (step == Statement::Step::row) found = Reach{reach_.bits(0), hexadecimal(reach_.bytes(1))};
  reach_.reset();
  return found;
}

Result<std::vector<Period>> HoursReader::lateMonths(const std::string& tenantId, const Period& before) {
  std::vector<Period> months;
  late_.bind(1, std::string_view(tenantId)).bind(2, before.from);
  Statement::Step step{};
  while ((step = late_.step()) == Statement::Step::row) months.push_back(monthOf(late_.integer(0)));
  if (step == Statement::Step::failed) return database_->error();
  late_.reset();
  return months;
}

Result<std::vector<std::string>> HoursReader::tenants() {
  auto query = database_->prepare("SELECT n.text FROM rolled d JOIN names n ON n.id = d.tenant ORDER BY n.text");
  if (!query) return query.error();
  std::vector<std::string> all;
  Statement::Step step{};
  while ((step = query->step()) == Statement::Step::row) {
    if (!isHostChain(query->bytes(0))) all.emplace_back(query->bytes(0));
  }
  if (step == Statement::Step::failed) return database_->error();
  return all;
}

}  // namespace cloister::metering
