// The ledger's tables, made at its first opening: append-only by trigger, one number a row of a tenant, one batch a
// sequence.
//
// Names (tenants, apps, instances, sources, notes) stand once in `names` and are numbers everywhere else. `spans` is an
// index by time over runs of rows; `heads` and `gaps` carry the running sums, so that a start reads no rows.
// Threads and failures: a constant.
#pragma once

namespace cloister::metering {

inline constexpr const char* kLedgerSchema = R"(
PRAGMA journal_mode = WAL;
PRAGMA synchronous = FULL;
BEGIN IMMEDIATE;
CREATE TABLE IF NOT EXISTS names(id INTEGER PRIMARY KEY, text TEXT NOT NULL UNIQUE);
CREATE TABLE IF NOT EXISTS batches(id INTEGER PRIMARY KEY, source INTEGER NOT NULL, sequence INTEGER NOT NULL,
  digest BLOB NOT NULL, boot INTEGER NOT NULL, received INTEGER NOT NULL, UNIQUE(source, sequence));
CREATE TABLE IF NOT EXISTS rows(tenant INTEGER NOT NULL, number INTEGER NOT NULL, batch INTEGER NOT NULL,
  app INTEGER NOT NULL, instance INTEGER NOT NULL, meter INTEGER NOT NULL, quantity INTEGER NOT NULL,
  window_from INTEGER NOT NULL, window_to INTEGER NOT NULL, note INTEGER NOT NULL, hash BLOB NOT NULL,
  PRIMARY KEY(tenant, number)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS spans(tenant INTEGER NOT NULL, first INTEGER NOT NULL, last INTEGER NOT NULL,
  min_from INTEGER NOT NULL, max_from INTEGER NOT NULL, PRIMARY KEY(tenant, first)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS heads(tenant INTEGER PRIMARY KEY, rows INTEGER NOT NULL, hash BLOB NOT NULL,
  totals BLOB NOT NULL, latest INTEGER NOT NULL);
CREATE TABLE IF NOT EXISTS gaps(note INTEGER PRIMARY KEY, rows INTEGER NOT NULL, milliseconds INTEGER NOT NULL);
CREATE TABLE IF NOT EXISTS anomalies(id INTEGER PRIMARY KEY AUTOINCREMENT, at INTEGER NOT NULL, source TEXT NOT NULL,
  sequence INTEGER NOT NULL, digest BLOB NOT NULL, stored BLOB NOT NULL);
CREATE TRIGGER IF NOT EXISTS rows_stay BEFORE UPDATE ON rows BEGIN SELECT RAISE(ABORT, 'the ledger is append-only'); END;
CREATE TRIGGER IF NOT EXISTS rows_last BEFORE DELETE ON rows BEGIN SELECT RAISE(ABORT, 'the ledger is append-only'); END;
CREATE TRIGGER IF NOT EXISTS batches_stay BEFORE UPDATE ON batches
  BEGIN SELECT RAISE(ABORT, 'the ledger is append-only'); END;
CREATE TRIGGER IF NOT EXISTS batches_last BEFORE DELETE ON batches
  BEGIN SELECT RAISE(ABORT, 'the ledger is append-only'); END;
PRAGMA user_version = 1;
COMMIT;
)";

}  // namespace cloister::metering
