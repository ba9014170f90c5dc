// The tables that bills are made from, beside the ledger's rows and in the same database.
//
// `hours` are sums of rows by the hour, `rolled` how far each tenant's chain is in them; both can be made again from
// the rows. `late` are months that were closed and have got usage since. Quantities are two halves of 32 bits each, for
// their sum may pass 64 bits: high x 2^32 + low. Types and clauses are those that PostgreSQL takes as well.
// Threads and failures: a constant.
#pragma once

namespace cloister::metering {

inline constexpr const char* kBillingSchema = R"(
CREATE TABLE IF NOT EXISTS price_lists(name TEXT PRIMARY KEY, valid_from BIGINT NOT NULL, body TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS hours(tenant BIGINT NOT NULL, hour BIGINT NOT NULL, app BIGINT NOT NULL,
  meter BIGINT NOT NULL, high BIGINT NOT NULL, low BIGINT NOT NULL, PRIMARY KEY(tenant, hour, app, meter));
CREATE TABLE IF NOT EXISTS rolled(tenant BIGINT PRIMARY KEY, number BIGINT NOT NULL);
CREATE TABLE IF NOT EXISTS lifecycle(tenant BIGINT NOT NULL, number BIGINT NOT NULL, at BIGINT NOT NULL,
  note BIGINT NOT NULL, PRIMARY KEY(tenant, number));
CREATE TABLE IF NOT EXISTS invoices(id TEXT PRIMARY KEY, tenant TEXT NOT NULL, period_from BIGINT NOT NULL,
  period_to BIGINT NOT NULL, last_row BIGINT NOT NULL, total BIGINT NOT NULL, currency TEXT NOT NULL,
  closed_at BIGINT NOT NULL, body TEXT NOT NULL, UNIQUE(tenant, period_from));
CREATE TABLE IF NOT EXISTS late(tenant BIGINT NOT NULL, period_from BIGINT NOT NULL, PRIMARY KEY(tenant, period_from));
CREATE TABLE IF NOT EXISTS credits(id TEXT PRIMARY KEY, tenant TEXT NOT NULL, text TEXT NOT NULL, amount BIGINT NOT NULL,
  remaining BIGINT NOT NULL, created_at BIGINT NOT NULL);
CREATE TABLE IF NOT EXISTS budgets(tenant TEXT PRIMARY KEY, amount BIGINT NOT NULL, cap TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS alerts(tenant TEXT NOT NULL, period_from BIGINT NOT NULL, kind TEXT NOT NULL,
  at BIGINT NOT NULL, PRIMARY KEY(tenant, period_from, kind));
)";

}  // namespace cloister::metering
