#include "metering/ledger/ledger.h"

#include <algorithm>
#include <atomic>
#include <mutex>
#include <optional>

#include "metering/base/sql.h"
#include "metering/ledger/ledger_memory.h"
#include "metering/ledger/ledger_query.h"
#include "metering/ledger/ledger_walk.h"
#include "metering/ledger/ledger_writer.h"

namespace cloister::metering {
namespace {

// Every batch writes to the ends of many chains: pages that a checkpoint would copy again and again, so it comes
// seldom. The log may take 32 MiB for it.
constexpr const char* kWriterSettings = "PRAGMA wal_autocheckpoint = 8192; PRAGMA cache_size = -65536";

}  // namespace

class Ledger::Database {
 public:
  Database(std::string location, Connection writer)
      : location_(std::move(location)), writer_(std::move(writer), memory_) {}

  Status ready() {
    if (opened_.load(std::memory_order_acquire)) return {};
    const std::lock_guard lock(writing_);
    return open();
  }

  Result<Appended> append(const UsageBatch& batch, std::int64_t receivedAt) {
    const std::lock_guard lock(writing_);
    if (auto done = open(); !done) return done.error();
    return writer_.append(batch, receivedAt);
  }

  Result<std::vector<UsageSum>> query(const UsageQuery& query) {
    if (auto done = ready(); !done) return done.error();
    const std::lock_guard lock(reading_);
    return sumRows(*reader_, query);
  }

  [[nodiscard]] const LedgerMemory& memory() const { return memory_; }

  Result<Verification> verify(const std::string& tenantId) {
    if (auto done = ready(); !done) return done.error();
    const std::lock_guard lock(reading_);
    // One state of head and rows, while appends go on.
    Snapshot snapshot(*reader_);
    if (auto begun = snapshot.begin(); !begun) return begun.error();
    return walk_->run(tenantId);
  }

  Result<std::vector<Anomaly>> anomalies(std::size_t limit) {
    if (auto done = ready(); !done) return done.error();
    const std::lock_guard lock(reading_);
    auto rows = reader_->prepare("SELECT at, source, sequence FROM anomalies ORDER BY id DESC LIMIT ?1");
    if (!rows) return rows.error();
    rows->bind(1, static_cast<std::int64_t>(std::min<std::size_t>(limit, INT64_MAX)));
    std::vector<Anomaly> all;
    Statement::Step step{};
    while ((step = rows->step()) == Statement::Step::row) {
      all.push_back({rows->integer(0), std::string(rows->bytes(1)), rows->bits(2), "same sequence, other content"});
    }
    if (step == Statement::Step::failed) return reader_->error();
    return all;
  }

 private:
  // The caller holds `writing_`.
  Status open() {
    if (opened_.load(std::memory_order_relaxed)) return {};
    if (auto opened = writer_.open(); !opened) return opened;
    auto reader = Connection::open(location_, "ledger", Connection::Mode::readOnly);
    if (!reader) return reader.error();
    reader_.emplace(std::move(reader).value());
    walk_.emplace(*reader_);
    opened_.store(true, std::memory_order_release);
    return {};
  }

  const std::string location_;
  std::mutex writing_;  // the writer, and the opening
  std::mutex reading_;  // the reader's connection, and its walk
  std::atomic<bool> opened_{false};
  LedgerMemory memory_;
  LedgerWriter writer_;
  std::optional<Connection> reader_;
  std::optional<ChainWalk> walk_;
};

Ledger::Ledger(std::unique_ptr<Database> database) : database_(std::move(database)) {}
Ledger::~Ledger() = default;

Result<std::unique_ptr<Ledger>> Ledger::open(const std::string& location) {
  auto writer = Connection::open(location, "ledger");
  if (!writer) return writer.error();
  if (writer->kind() == Connection::Kind::sqlite) {
    if (auto set = writer->exec(kWriterSettings); !set) return set.error();
  }
  auto database = std::make_unique<Database>(location, std::move(writer).value());
  if (auto ready = database->ready(); !ready && !isAway(ready.error())) return ready.error();
  return std::unique_ptr<Ledger>(new Ledger(std::move(database)));
}

Status Ledger::ready() {
  return database_->ready();
}
Result<Appended> Ledger::append(const UsageBatch& batch, std::int64_t receivedAt) {
  return database_->append(batch, receivedAt);
}
Result<std::vector<UsageSum>> Ledger::query(const UsageQuery& query) {
  return database_->query(query);
}
bool Ledger::known() const {
  return database_->memory().known();
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
