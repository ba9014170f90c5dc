// Spool: the node's durable memory of metering, one SQLite file (WAL, synchronous FULL).
//
//   $STATE/node/spool.db   meta(key, value)               last sequence given, start of the open window
//                          groups(name, state)            a running group: whose it is, identity, last reading, and
//                                                         what it added to the open window
//                          networks(tenant, state)        a tenant's last network counters, likewise
//                          amounts(key, quantity)         what else that has: with a note, or of what is gone
//                          segments(tenant, state)        rows that the host's next seal is to cover (seal.h)
//                          batches(sequence, boot, rows)  of windows that are over, not yet acknowledged
//                          clock(boot, micros)            how the calendar stood to the boot clock
//                          hosts(boot, state)             last CPU counters of the host and of all tenants
//
// commit() writes last readings, sums, a window that is over and the hash of its rows in ONE transaction, durable on
// return: after kill -9 at any moment the next start finds readings, sums and segments of the same instant and goes on
// from there; the kernel's counters went on meanwhile, so nothing is lost or doubled. A sequence is never given twice:
// it grows over restarts and, by starting at the calendar's microseconds, also over a lost or cut file. Batches keep
// their order, which seals rest on. Format 3; 2 had all sums in amounts, 1 no segments, and both open as 3.
// Threads: the meter thread commits, an uplink thread may call pending() and acknowledge(); a mutex serialises them.
// Failures: Error{stage "spool", operation, path, SQLite's text in operation}; a failed commit changed nothing.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "metering/base/encoding.h"
#include "metering/base/usage.h"
#include "metering/readings/spool_state.h"
#include "sandbox/base/result.h"

namespace cloister::metering {

class Spool {
 public:
  enum class Past { none, known };  // none: the file was made (or replaced a damaged one) by this open()

  // A file that SQLite calls damaged is kept aside as "<path>.damaged-<microseconds>" and a new one begun, with the
  // batches that can still be read: each of them is whole in itself, and one that the ledger has is taken once.
  // Readings and the open window's sums are not taken over, for they must be of one instant.
  [[nodiscard]] static Result<std::unique_ptr<Spool>> open(const std::string& path, const std::string& source);
  ~Spool();
  Spool(const Spool&) = delete;
  Spool& operator=(const Spool&) = delete;

  [[nodiscard]] Past past() const;
  [[nodiscard]] const std::string& source() const;
  [[nodiscard]] Result<SpoolState> load();
  // Stores what changed in `state`; each list of `sealed` becomes a batch. On success the caller calls state.stored().
  [[nodiscard]] Status commit(const SpoolState& state, const std::string& bootId, const RowLists& sealed);

  static constexpr std::size_t kRowsPerBatch = 1000;

  // The oldest batches not acknowledged, in sequence order.
  [[nodiscard]] Result<std::vector<UsageBatch>> pending(std::size_t limit = 16);
  // Forgets that batch. Unknown sequences are fine.
  [[nodiscard]] Status acknowledge(std::uint64_t sequence);
  // Gives that batch and all after it new sequences, in their order: the ledger has other rows under the old one. What
  // pending() answered before is void.
  [[nodiscard]] Status renumber(std::uint64_t sequence);

 private:
  class Database;
  explicit Spool(std::unique_ptr<Database> database);
  std::unique_ptr<Database> database_;
};

}  // namespace cloister::metering
