// Ledger: the append-only record of usage, hash-chained a tenant, in a SQLite file (ledger.db, WAL, synchronous FULL)
// or in a PostgreSQL database ("postgresql://..."); the same tables in both:
//
//   batches(id, source, sequence, digest, boot, received)   UNIQUE(source, sequence)
//   rows(tenant, number, ...)        a tenant's are numbered 1, 2, 3 ... in the order of its chain
//   spans(tenant, first, last, min_from, max_from)   where a batch's rows of a tenant lie, to find by time
//   heads(tenant, rows, hash, totals, latest, batch) end of the chain and the sums since ever
//   names(id, text)                  tenant, app, instance ids and sources, written once; any bytes
//   gaps(note, rows, milliseconds)   anomalies(at, source, sequence, digest, stored, reason)
//
// append() is one transaction: the same (source, sequence) again with the same content is answered like the first time;
// with other content it is refused and kept as an anomaly. So a batch whose answer was lost is sent again. UPDATE and
// DELETE of rows are refused by triggers.
//
// Several processes may write to one ledger: one at a time, each chaining to what the others left. What is answered
// from memory is as of this process's own last append.
//
// The chain: hash(0) = 32 zero bytes, hash(n) = SHA-256(hash(n-1) || encoding of row n), where the encoding is,
// integers little-endian, strings as u32 byte count and bytes:
//   u8  version = 1          u64 number in the tenant's chain   str source      u64 sequence    str boot id
//   str tenant   str app   str instance   u8 meter (its value in usage.h)   u64 quantity   i64 from   i64 to   str note
// A batch's digest is SHA-256 of: u8 version = 1, str source, u64 sequence, str boot id, u32 row count, and for each
// row from "str tenant" to "str note" as above.
//
// A PostgreSQL server that is away hinders no start: open() succeeds, and each call completes the opening first, which
// makes and migrates the tables and reads what memory holds. Until that was done once known() is false, and what is
// answered from memory means nothing. What waiting does not mend fails open(), or the call that finds it later: a
// location that cannot be read, a login that is refused, a ledger of a newer program.
//
// Threads: any; a mutex serialises writers, another readers, a third verifications. Failures: Error{stage "ledger",
// operation, path, code as sql.h gives it: ENOTCONN or ETIMEDOUT when PostgreSQL is away; the next call tries it again;
// EACCES, EINVAL, ENOSPC}.
#pragma once

#include <array>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "metering/base/quantity.h"
#include "metering/base/sha256.h"
#include "metering/base/usage.h"
#include "sandbox/base/result.h"

namespace cloister::metering {

// Indexed by Meter. Levels hold the highest value ever, the others the sum.
using Totals = std::array<Quantity, kMeters>;

enum class Appended {
  recorded,  // new: acknowledge it
  repeated,  // known with the same content: acknowledge it
  refused,   // known with other content: an anomaly was recorded; answer 409
};

// Rows whose window begins in [from, to).
struct UsageQuery {
  std::string tenantId;
  std::int64_t from = 0;
  std::int64_t to = INT64_MAX;
  std::string appId;       // empty: all
  std::string instanceId;  // empty: all
  enum class Group { tenant, app, instance } group = Group::app;
};
struct UsageSum {
  std::string appId;       // empty: the tenant itself, or grouped away
  std::string instanceId;  // likewise
  Meter meter = Meter::cpu;
  Quantity quantity = 0;  // in meterUnit(meter)
  std::int64_t from = 0;  // first and last moment that rows cover
  std::int64_t to = 0;
};

struct TenantTotals {
  std::string tenantId;
  Totals totals{};
};

struct Verification {
  std::uint64_t rows = 0;    // good ones, from the start of the chain
  std::uint64_t badRow = 0;  // number of the first bad row; 0: the chain is whole
  std::string reason;
  [[nodiscard]] bool whole() const { return badRow == 0; }
};

// Called between two pages of a chain with how many rows hold; false ends the verification.
using VerifyProgress = std::function<bool(std::uint64_t rows)>;

// The end of a tenant's chain as it is on record: what is published as its head.
struct ChainEnd {
  std::int64_t key = 0;  // to page by; 0: it has no rows
  std::string tenantId;
  std::uint64_t rows = 0;
  Hash hash{};
  std::int64_t recordedAt = 0;  // when the last row came; 0: it has none
};

// Gap rows whose window begins in [from, to), in the order of chains and rows.
struct GapQuery {
  std::string tenantId;  // empty: of all, also those of hosts as a whole (hostChain())
  std::int64_t from = 0;
  std::int64_t to = INT64_MAX;
  std::int64_t afterChain = 0;  // those of the last row already seen
  std::uint64_t afterNumber = 0;
  std::size_t limit = 100;
};
struct GapRow {
  std::int64_t chain = 0;  // to page by, with the number
  std::uint64_t number = 0;
  std::string tenantId;
  std::string source;  // the node
  std::string appId;
  std::string instanceId;
  std::uint64_t milliseconds = 0;
  std::int64_t from = 0;
  std::int64_t to = 0;
  std::string reason;
};

struct Anomaly {
  std::int64_t id = 0;  // to page by
  std::int64_t at = 0;
  std::string source;
  std::uint64_t sequence = 0;
  std::string digest;  // of what was refused; both in hexadecimal digits
  std::string stored;  // of what is on record
  std::string reason;
};

struct LedgerHealth {
  // End of the newest window on record, or when it was received if that was before its end; 0: none. What lies ahead of
  // the moment that is asked about says nothing.
  std::int64_t latest = 0;
  Quantity gapMilliseconds = 0;
  std::uint64_t counterResets = 0;
  std::uint64_t finalReadsMissed = 0;
  std::uint64_t refusedBatches = 0;
};

class Ledger {
 public:
  [[nodiscard]] static Result<std::unique_ptr<Ledger>> open(const std::string& location);
  ~Ledger();
  Ledger(const Ledger&) = delete;
  Ledger& operator=(const Ledger&) = delete;

  // Completes the opening, as the calls below do; costs nothing once that is done.
  [[nodiscard]] Status ready();
  [[nodiscard]] bool known() const;

  [[nodiscard]] Result<Appended> append(const UsageBatch& batch, std::int64_t receivedAt);
  // Records an anomaly instead of the batch. False: this one is on record already, or its source has too many.
  [[nodiscard]] Result<bool> refuse(const UsageBatch& batch, std::int64_t at, const std::string& reason);
  // Sorted by app, instance, meter. An unknown tenant has no usage: an empty list.
  [[nodiscard]] Result<std::vector<UsageSum>> query(const UsageQuery& query);
  // Since ever; from memory. `at`: now, in microseconds UTC.
  [[nodiscard]] Totals totals(const std::string& tenantId) const;
  [[nodiscard]] std::vector<TenantTotals> totals() const;
  [[nodiscard]] LedgerHealth health(std::int64_t at) const;
  // Walks the tenant's chain and compares its end with the head. On a connection of its own: nobody waits for it but
  // another verification. ECANCELED when `progress` ended it.
  [[nodiscard]] Result<Verification> verify(const std::string& tenantId, const VerifyProgress& progress = {});
  // An unknown tenant has an empty chain.
  [[nodiscard]] Result<ChainEnd> head(const std::string& tenantId);
  // Of all chains, also those of hosts as a whole and of tenants that are gone, in the order of their keys.
  [[nodiscard]] Result<std::vector<ChainEnd>> heads(std::int64_t after, std::size_t limit);
  [[nodiscard]] Result<std::vector<GapRow>> gaps(const GapQuery& query);
  // Newest first, those before the one with that id.
  [[nodiscard]] Result<std::vector<Anomaly>> anomalies(std::size_t limit = 100, std::int64_t before = INT64_MAX);

 private:
  class Database;
  explicit Ledger(std::unique_ptr<Database> database);
  std::unique_ptr<Database> database_;
};

}  // namespace cloister::metering
