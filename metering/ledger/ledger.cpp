#include "metering/ledger/ledger.h"

#include <algorithm>
#include <mutex>

#include "metering/base/migrations.h"
#include "metering/base/sql.h"
#include "metering/ledger/ledger_memory.h"
#include "metering/ledger/ledger_query.h"
#include "metering/ledger/ledger_walk.h"
#include "metering/ledger/ledger_writer.h"
#include "metering/ledger/migrations.h"

namespace cloister::metering {
namespace {

// Every batch writes to the ends of many chains: pages that a checkpoint would copy again and again, so it comes
// seldom. The log may take 32 MiB for it.
constexpr const char* kWriterSettings = "PRAGMA wal_autocheckpoint = 8192; PRAGMA cache_size = -65536";

}  // namespace

class Ledger::Database {
 public:
  explicit Database(Connection reader) : reader_(std::move(reader)) {}

  Status prepare(Connection writer) {
    auto made = LedgerWriter::make(std::move(writer), memory_);
    if (!made) return made.error();
    writer_ = std::move(made).value();
    return {};
  }

  Result<Appended> append(const UsageBatch& batch, std::int64_t receivedAt) {
    const std::lock_guard lock(writing_);
    return writer_->append(batch, receivedAt);
  }

  Result<std::vector<UsageSum>> query(const UsageQuery& query) {
    const std::lock_guard lock(reading_);
    return sumRows(reader_, query);
  }

  [[nodiscard]] const LedgerMemory& memory() const { return memory_; }

  Result<Verification> verify(const std::string& tenantId) {
    const std::lock_guard lock(reading_);
    // One state of head and rows, while appends go on.
    Snapshot snapshot(reader_);
    if (auto begun = snapshot.begin(); !begun) return begun.error();
    return walk_.run(tenantId);
  }

  Result<std::vector<Anomaly>> anomalies(std::size_t limit) {
    const std::lock_guard lock(reading_);
    auto rows = reader_.prepare("SELECT at, source, sequence FROM anomalies ORDER BY id DESC LIMIT ?1");
    if (!rows) return rows.error();
    rows->bind(1, static_cast<std::int64_t>(std::min<std::size_t>(limit, INT64_MAX)));
    std::vector<Anomaly> all;
    Statement::Step step{};
    while ((step = rows->step()) == Statement::Step::row) {
      all.push_back({rows->integer(0), std::string(rows->bytes(1)), rows->bits(2), "same sequence, other content"});
    }
    if (step == Statement::Step::failed) return reader_.error();
    return all;
  }

 private:
  std::mutex writing_;  // the writer
  std::mutex reading_;  // the reader's connection, and its walk
  LedgerMemory memory_;
  std::unique_ptr<LedgerWriter> writer_;
  Connection reader_;
  ChainWalk walk_{reader_};
};

Ledger::Ledger(std::unique_ptr<Database> database) : database_(std::move(database)) {}
Ledger::~Ledger() = default;

Result<std::unique_ptr<Ledger>> Ledger::open(const std::string& location) {
  auto writer = Connection::open(location, "ledger");
  if (!writer) return writer.error();
  if (writer->kind() == Connection::Kind::sqlite) {
    if (auto set = writer->exec(kWriterSettings); !set) return set.error();
  }
  if (auto made = migrate(*writer, kLedgerMigrations); !made) return made.error();
  auto reader = Connection::open(location, "ledger", Connection::Mode::readOnly);
  if (!reader) return reader.error();
  auto database = std::make_unique<Database>(std::move(reader).value());
  if (auto prepared = database->prepare(std::move(writer).value()); !prepared) return prepared.error();
  return std::unique_ptr<Ledger>(new Ledger(std::move(database)));
}

Result<Appended> Ledger::append(const UsageBatch& batch, std::int64_t receivedAt) {
  return database_->append(batch, receivedAt);
}
Result<std::vector<UsageSum>> Ledger::query(const UsageQuery& query) {
  return database_->query(query);
}
Totals Ledger::totals(const std::string& tenantId) const {
  return database_->memory().totals(tenantId);
}
std::vector<TenantTotals> Ledger::totals() const {
  return database_->memory().totals();
}
LedgerHealth Ledger::health() const {
  return database_->memory().health();
}
Result<Verification> Ledger::verify(const std::string& tenantId) {
  return database_->verify(tenantId);
}
Result<std::vector<Anomaly>> Ledger::anomalies(std::size_t limit) {
  return database_->anomalies(limit);
}

}  // namespace cloister::metering
