#include "metering/ledger/migrations.h"

#include "metering/base/usage.h"
#include "metering/ledger/billing_tables.h"

namespace cloister::metering {
namespace {

// IF NOT EXISTS: a process that ended within the first opening may have left these.
constexpr const char* kTables = R"(
CREATE TABLE IF NOT EXISTS names(id {key}, text {text} NOT NULL UNIQUE);
CREATE TABLE IF NOT EXISTS batches(id {key}, source BIGINT NOT NULL, sequence BIGINT NOT NULL,
  digest {blob} NOT NULL, boot BIGINT NOT NULL, received BIGINT NOT NULL, UNIQUE(source, sequence));
CREATE TABLE IF NOT EXISTS rows(tenant BIGINT NOT NULL, number BIGINT NOT NULL, batch BIGINT NOT NULL,
  app BIGINT NOT NULL, instance BIGINT NOT NULL, meter BIGINT NOT NULL, quantity BIGINT NOT NULL,
  window_from BIGINT NOT NULL, window_to BIGINT NOT NULL, note BIGINT NOT NULL, hash {blob} NOT NULL,
  PRIMARY KEY(tenant, number)) {clustered};
CREATE TABLE IF NOT EXISTS spans(tenant BIGINT NOT NULL, first BIGINT NOT NULL, last BIGINT NOT NULL,
  min_from BIGINT NOT NULL, max_from BIGINT NOT NULL, PRIMARY KEY(tenant, first)) {clustered};
CREATE TABLE IF NOT EXISTS heads(tenant {key}, rows BIGINT NOT NULL, hash {blob} NOT NULL,
  totals {blob} NOT NULL, latest BIGINT NOT NULL);
CREATE TABLE IF NOT EXISTS gaps(note {key}, rows BIGINT NOT NULL, milliseconds BIGINT NOT NULL);
CREATE TABLE IF NOT EXISTS anomalies(id {key}, at BIGINT NOT NULL, source {text} NOT NULL,
  sequence BIGINT NOT NULL, digest {blob} NOT NULL, stored {blob} NOT NULL);
{sqlite:
CREATE TRIGGER IF NOT EXISTS rows_stay BEFORE UPDATE ON rows BEGIN SELECT RAISE(ABORT, 'the ledger is append-only'); END;
CREATE TRIGGER IF NOT EXISTS rows_last BEFORE DELETE ON rows BEGIN SELECT RAISE(ABORT, 'the ledger is append-only'); END;
CREATE TRIGGER IF NOT EXISTS batches_stay BEFORE UPDATE ON batches
  BEGIN SELECT RAISE(ABORT, 'the ledger is append-only'); END;
CREATE TRIGGER IF NOT EXISTS batches_last BEFORE DELETE ON batches
  BEGIN SELECT RAISE(ABORT, 'the ledger is append-only'); END;
}
{postgres:
CREATE FUNCTION cloister_append_only() RETURNS trigger LANGUAGE plpgsql AS
  'BEGIN RAISE EXCEPTION ''the ledger is append-only''; END';
CREATE TRIGGER rows_stay BEFORE UPDATE OR DELETE OR TRUNCATE ON rows EXECUTE FUNCTION cloister_append_only();
CREATE TRIGGER batches_stay BEFORE UPDATE OR DELETE OR TRUNCATE ON batches EXECUTE FUNCTION cloister_append_only();
}
)";

constexpr const char* kHeadsKnowTheirBatch = "ALTER TABLE heads ADD COLUMN batch BIGINT NOT NULL DEFAULT 0";

// 15 is Meter::gap. Such rows are few, so the index costs appends nothing.
constexpr const char* kGapsAreFound = "CREATE INDEX gap_rows ON rows(tenant, number) WHERE meter = 15";

// What a credit has left falls to nothing and no further: a draft that another cloisterd made before a revocation is
// refused when it would be recorded, and made again without the credit.
constexpr const char* kCreditsAreRevoked = R"(
ALTER TABLE credits ADD COLUMN revoked_at BIGINT NOT NULL DEFAULT 0;
{sqlite:
CREATE TRIGGER credits_left BEFORE UPDATE ON credits WHEN NEW.remaining < 0
  BEGIN SELECT RAISE(ABORT, 'a credit is spent or revoked'); END;
}
{postgres: ALTER TABLE credits ADD CONSTRAINT credits_left CHECK(remaining >= 0) NOT VALID;}
)";

// Refused for what it says, and not because something else is on record: `stored` is empty then.
constexpr const char* kAnomaliesHaveAReason = "ALTER TABLE anomalies ADD COLUMN reason {text} NOT NULL DEFAULT ''";

}  // namespace

static_assert(static_cast<int>(Meter::gap) == 15);

const std::array<const char*, 10> kLedgerMigrations{
    kTables,        kHeadsKnowTheirBatch, kBillingTables, kClosedMonths,      kBudgetsKnowSince,
    kBudgetsOfBoth, kOwnLifecycleOnly,    kGapsAreFound,  kCreditsAreRevoked, kAnomaliesHaveAReason};

}  // namespace cloister::metering
