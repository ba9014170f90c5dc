// The tables that bills are made from, beside the ledger's rows and in the same database: some of its migrations.
//
// `hours` are sums of rows by the hour, `rolled` how far each tenant's chain is in them; both can be made again from
// the rows. `late` are months that were closed and have got usage since. Quantities are two halves of 32 bits each, for
// their sum may pass 64 bits: high x 2^32 + low.
// Threads and failures: constants.
#pragma once

namespace cloister::metering {

inline constexpr const char* kBillingTables = R"(
CREATE TABLE price_lists(name {text} PRIMARY KEY, valid_from BIGINT NOT NULL, body {text} NOT NULL);
CREATE TABLE hours(tenant BIGINT NOT NULL, hour BIGINT NOT NULL, app BIGINT NOT NULL,
  meter BIGINT NOT NULL, high BIGINT NOT NULL, low BIGINT NOT NULL, PRIMARY KEY(tenant, hour, app, meter));
CREATE TABLE rolled(tenant BIGINT PRIMARY KEY, number BIGINT NOT NULL);
CREATE TABLE lifecycle(tenant BIGINT NOT NULL, number BIGINT NOT NULL, at BIGINT NOT NULL,
  note BIGINT NOT NULL, PRIMARY KEY(tenant, number));
CREATE TABLE invoices(id {text} PRIMARY KEY, tenant {text} NOT NULL, period_from BIGINT NOT NULL,
  period_to BIGINT NOT NULL, last_row BIGINT NOT NULL, total BIGINT NOT NULL, currency {text} NOT NULL,
  closed_at BIGINT NOT NULL, body {text} NOT NULL, UNIQUE(tenant, period_from));
CREATE TABLE late(tenant BIGINT NOT NULL, period_from BIGINT NOT NULL, PRIMARY KEY(tenant, period_from));
CREATE TABLE credits(id {text} PRIMARY KEY, tenant {text} NOT NULL, text {text} NOT NULL, amount BIGINT NOT NULL,
  remaining BIGINT NOT NULL, created_at BIGINT NOT NULL);
CREATE TABLE budgets(tenant {text} PRIMARY KEY, amount BIGINT NOT NULL, cap {text} NOT NULL);
CREATE TABLE alerts(tenant {text} NOT NULL, period_from BIGINT NOT NULL, kind {text} NOT NULL,
  at BIGINT NOT NULL, PRIMARY KEY(tenant, period_from, kind));
)";

// One with closed_at 0 is being closed: some of its invoices are written.
// Before there was this table, late usage of a tenant without an invoice was on none: it is on the tenant's next one.
inline constexpr const char* kClosedMonths = R"(
CREATE TABLE closed_months(period_from BIGINT PRIMARY KEY, period_to BIGINT NOT NULL, closed_at BIGINT NOT NULL);
INSERT INTO closed_months SELECT period_from, period_to, MAX(closed_at) FROM invoices GROUP BY period_from, period_to;
INSERT INTO late SELECT DISTINCT h.tenant, c.period_from FROM closed_months c
  JOIN hours h ON h.hour >= c.period_from AND h.hour < c.period_to JOIN names n ON n.id = h.tenant
  LEFT JOIN invoices i ON i.tenant = n.text AND i.period_from = c.period_from
  WHERE i.id IS NULL ON CONFLICT DO NOTHING;
)";

// What was done about a budget is on record where it was done, by the moment that the budget was set at.
inline constexpr const char* kBudgetsKnowSince = R"(
ALTER TABLE budgets ADD COLUMN since BIGINT NOT NULL DEFAULT 0;
DROP TABLE alerts;
)";

// A tenant could take away what its provider had set: budgets from before are the provider's.
inline constexpr const char* kBudgetsOfBoth = R"(
CREATE TABLE budgets_of_both(tenant {text} NOT NULL, set_by {text} NOT NULL, amount BIGINT NOT NULL,
  cap {text} NOT NULL, since BIGINT NOT NULL, PRIMARY KEY(tenant, set_by));
INSERT INTO budgets_of_both SELECT tenant, 'provider', amount, cap, since FROM budgets;
DROP TABLE budgets;
ALTER TABLE budgets_of_both RENAME TO budgets;
)";

// Rows of others than the control plane were taken for its word.
inline constexpr const char* kOwnLifecycleOnly = R"(
DELETE FROM lifecycle WHERE NOT EXISTS (SELECT 1 FROM rows r JOIN batches b ON b.id = r.batch
  JOIN names s ON s.id = b.source WHERE r.tenant = lifecycle.tenant AND r.number = lifecycle.number
  AND s.text = 'cloisterd');
)";

}  // namespace cloister::metering
