#include "metering/ledger/ledger.h"

#include <atomic>
#include <mutex>
#include <optional>
#include <utility>

#include "metering/base/sql.h"
#include "metering/ledger/ledger_evidence.h"
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

  Result<bool> refuse(const UsageBatch& batch, std::int64_t at, const std::string& reason) {
    const std::lock_guard lock(writing_);
    if (auto done = open(); !done) return done.error();
    return writer_.refuse(batch, at, reason);
  }

  // What `read` finds on the reader's connection.
  template <typename Read>
  auto read(Read read) -> decltype(read(std::declval<Connection&>())) {
    if (auto done = ready(); !done) return done.error();
    const std::lock_guard lock(reading_);
    return read(*reader_);
  }

  [[nodiscard]] const LedgerMemory& memory() const { return memory_; }

  Result<Verification> verify(const std::string& tenantId, const VerifyProgress& progress) {
    if (auto done = ready(); !done) return done.error();
    const std::lock_guard lock(walking_);
    // One state of head and rows, while appends go on.
    Snapshot snapshot(*walker_);
    if (auto begun = snapshot.begin(); !begun) return begun.error();
    return walk_->run(tenantId, progress);
  }

 private:
  // The caller holds `writing_`.
  Status open() {
    if (opened_.load(std::memory_order_relaxed)) return {};
    if (auto opened = writer_.open(); !opened) return opened;
    auto reader = Connection::open(location_, "ledger", Connection::Mode::readOnly);
    if (!reader) return reader.error();
    reader_.emplace(std::move(reader).value());
    auto walker = Connection::open(location_, "ledger", Connection::Mode::readOnly);
    if (!walker) return walker.error();
    walker_.emplace(std::move(walker).value());
    walk_.emplace(*walker_);
    opened_.store(true, std::memory_order_release);
    return {};
  }

  const std::string location_;
  std::mutex writing_;  // the writer, and the opening
  std::mutex reading_;  // the reader's connection
  std::mutex walking_;  // the walker's connection, and its walk: a long chain must not hold up who reads
  std::atomic<bool> opened_{false};
  LedgerMemory memory_;
  LedgerWriter writer_;
  std::optional<Connection> reader_;
  std::optional<Connection> walker_;
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
Result<bool> Ledger::refuse(const UsageBatch& batch, std::int64_t at, const std::string& reason) {
  return database_->refuse(batch, at, reason);
}
Result<std::vector<UsageSum>> Ledger::query(const UsageQuery& query) {
  return database_->read([&](Connection& reader) { return sumRows(reader, query); });
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
LedgerHealth Ledger::health(std::int64_t at) const {
  return database_->memory().health(at);
}
Result<Verification> Ledger::verify(const std::string& tenantId, const VerifyProgress& progress) {
  return database_->verify(tenantId, progress);
}
Result<ChainEnd> Ledger::head(const std::string& tenantId) {
  return database_->read([&](Connection& reader) { return readEnd(reader, tenantId); });
}
Result<std::vector<ChainEnd>> Ledger::heads(std::int64_t after, std::size_t limit) {
  return database_->read([&](Connection& reader) { return listEnds(reader, after, limit); });
}
Result<std::vector<GapRow>> Ledger::gaps(const GapQuery& query) {
  return database_->read([&](Connection& reader) { return listGaps(reader, query); });
}
Result<std::vector<Anomaly>> Ledger::anomalies(std::size_t limit, std::int64_t before) {
  return database_->read([&](Connection& reader) { return listAnomalies(reader, limit, before); });
}

}  // namespace cloister::metering
