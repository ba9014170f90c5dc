// LedgerWriter: appends batches to the ledger's tables, one transaction each, and keeps a LedgerMemory up to what was
// committed. Part of Ledger; others call Ledger::append().
//
// Other processes may write to the same tables: within the transaction, whose lock lets one writer in at a time, the
// last batch on record is compared with the last one known, and what others appended since is read before anything is
// chained to it. The same finds out what became of a commit whose answer was lost.
// Threads: one at a time. Failures: the connection's Error, Error{EBADMSG} for a head that does not decode; the
// transaction is rolled back, and memory is as before.
#pragma once

#include <string>
#include <unordered_map>
#include <vector>

#include "metering/base/sql.h"
#include "metering/ledger/ledger_memory.h"

namespace cloister::metering {

class LedgerWriter {
 public:
  // `memory` outlives the writer.
  LedgerWriter(Connection database, LedgerMemory& memory);
  // Makes the tables and reads what memory holds: once with success, before the first append(). After a failure it may
  // be called again.
  [[nodiscard]] Status open();
  [[nodiscard]] Result<Appended> append(const UsageBatch& batch, std::int64_t receivedAt);
  [[nodiscard]] Result<bool> refuse(const UsageBatch& batch, std::int64_t at, const std::string& reason);

 private:
  [[nodiscard]] Status prepare();
  [[nodiscard]] Status reload(std::int64_t since, std::int64_t last);
  [[nodiscard]] Result<Appended> record(const UsageBatch& batch, std::int64_t receivedAt);
  [[nodiscard]] Result<Appended> repeated(const UsageBatch& batch, std::string_view stored, const Hash& digest,
                                          std::int64_t receivedAt);
  [[nodiscard]] Result<bool> putRefusal(const UsageBatch& batch, std::int64_t at, const std::string& reason);
  [[nodiscard]] Status writeRows(const UsageBatch& batch, std::int64_t batchId, std::int64_t receivedAt);
  [[nodiscard]] Status writeEnds();
  [[nodiscard]] Result<std::int64_t> nameId(const std::string& text);
  [[nodiscard]] Status encode(const UsageBatch& batch);
  [[nodiscard]] Hash digestOf(const UsageBatch& batch);
  void reset();

  struct Span {
    std::uint64_t first = 0;
    std::int64_t minFrom = INT64_MAX;
    std::int64_t maxFrom = INT64_MIN;
  };

  LedgerMemory& memory_;
  LedgerChange change_;  // of the transaction
  std::unordered_map<std::string, Span> spans_;
  std::vector<std::string> encoded_;  // the batch's rows, as the chain and the digest take them
  std::unordered_map<std::string, std::int64_t> names_;
  Sha256 sha_;
  Connection database_;
  Statement findBatch_;  // statements go before their connection: they stand after it
  Statement findName_;
  Statement putName_;
  Statement putBatch_;
  Statement putAnomaly_;
  Bulk rows_;
  Bulk spanRows_;
  Bulk heads_;
  Bulk gaps_;
};

}  // namespace cloister::metering
