#include "metering/ledger/ledger.h"

#include <algorithm>
#include <cerrno>
#include <map>
#include <mutex>
#include <shared_mutex>
#include <unordered_map>

#include "metering/base/encoding.h"
#include "metering/base/sha256.h"
#include "metering/base/sqlite.h"
#include "metering/ledger/ledger_chain.h"
#include "metering/ledger/ledger_query.h"
#include "metering/ledger/ledger_schema.h"
#include "metering/readings/accumulator.h"

namespace cloister::metering {
namespace {

constexpr std::size_t kNamesInMemory = 200'000;

struct Span {
  std::uint64_t first = 0;
  std::int64_t minFrom = INT64_MAX;
  std::int64_t maxFrom = INT64_MIN;
};

struct GapSum {
  std::uint64_t rows = 0;
  std::uint64_t milliseconds = 0;
};

}  // namespace

class Ledger::Database {
 public:
  Database(std::string path, Sqlite writer, Sqlite reader)
      : path_(std::move(path)), writer_(std::move(writer)), reader_(std::move(reader)) {}

  Status prepare() {
    for (auto& [statement, sql] :
         {std::pair{&findName_, "SELECT id FROM names WHERE text = ?"},
          std::pair{&putName_, "INSERT INTO names(text) VALUES(?) RETURNING id"},
          std::pair{&findBatch_, "SELECT digest FROM batches WHERE source = ? AND sequence = ?"},
          std::pair{&putBatch_,
                    "INSERT INTO batches(source, sequence, digest, boot, received) "
                    "VALUES(?, ?, ?, ?, ?) RETURNING id"},
          std::pair{&putRow_, "INSERT INTO rows VALUES(?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"},
          std::pair{&putSpan_, "INSERT INTO spans VALUES(?, ?, ?, ?, ?)"},
          std::pair{&putHead_, "INSERT OR REPLACE INTO heads VALUES(?, ?, ?, ?, ?)"},
          std::pair{&putGap_, "INSERT OR REPLACE INTO gaps VALUES(?, ?, ?)"},
          std::pair{&putAnomaly_,
                    "INSERT INTO anomalies(at, source, sequence, digest, stored) "
                    "VALUES(?, ?, ?, ?, ?)"}}) {
      auto prepared = writer_.prepare(sql);
      if (!prepared) return prepared.error();
      *statement = std::move(prepared).value();
    }
    return loadMemory();
  }

  Result<Appended> append(const UsageBatch& batch, std::int64_t receivedAt) {
    if (batch.source.empty()) return Error{"ledger", "batch without a source", path_, EINVAL};
    std::vector<std::string> encoded;
    encoded.reserve(batch.rows.size());
    for (const auto& row : batch.rows) {
      if (row.tenantId.empty() || row.from >= row.to)
        return Error{"ledger", "row without a tenant or a time", path_, EINVAL};
      wire::Writer writer;
      putRow(writer, row);
      encoded.push_back(writer.bytes());
    }
    const std::lock_guard lock(writing_);
    const auto digest = digestOf(batch, encoded);

    Transaction transaction(writer_);
    if (auto begun = transaction.begin(); !begun) return begun.error();
    auto outcome = record(batch, encoded, digest, receivedAt);
    if (!outcome) {
      resetAll();
      names_.clear();
      return outcome.error();
    }
    if (auto done = transaction.commit(); !done) {
      names_.clear();
      return done.error();
    }
    const std::unique_lock memory(memory_);
    for (auto& [tenant, head] : touched_) heads_.insert_or_assign(tenant, head);
    for (const auto& [note, sum] : touchedGaps_) gaps_.insert_or_assign(note, sum);
    if (*outcome == Appended::refused) ++refused_;
    return outcome;
  }

  Result<std::vector<UsageSum>> query(const UsageQuery& query) {
    const std::lock_guard lock(reading_);
    return sumRows(reader_, query);
  }

  Totals totals(const std::string& tenantId) const {
    const std::shared_lock memory(memory_);
    const auto found = heads_.find(tenantId);
    return found == heads_.end() ? Totals{} : found->second.totals;
  }

  std::vector<TenantTotals> totals() const {
    const std::shared_lock memory(memory_);
    std::vector<TenantTotals> all;
    all.reserve(heads_.size());
    for (const auto& [tenant, head] : heads_) all.push_back({tenant, head.totals});
    return all;
  }

  LedgerHealth health() const {
    const std::shared_lock memory(memory_);
    LedgerHealth health;
    for (const auto& [tenant, head] : heads_) health.latest = std::max(health.latest, head.latest);
    for (const auto& [note, sum] : gaps_) {
      health.gapMilliseconds += sum.milliseconds;
      if (note == gap::kCounterReset) health.counterResets += sum.rows;
      if (note == gap::kVanished || note == gap::kRestarted || note == gap::kUnreadable) {
        health.finalReadsMissed += sum.rows;
      }
    }
    health.refusedBatches = refused_;
    return health;
  }

  Result<Verification> verify(const std::string& tenantId) {
    const std::lock_guard lock(reading_);
    // One snapshot of head and rows, while appends go on.
    if (auto begun = reader_.exec("BEGIN"); !begun) return begun.error();
    auto result = walkChain(reader_, tenantId);
    if (auto ended = reader_.exec("ROLLBACK"); !ended && result) return ended.error();
    return result;
  }

  Result<std::vector<Anomaly>> anomalies(std::size_t limit) {
    const std::lock_guard lock(reading_);
    auto rows = reader_.prepare("SELECT at, source, sequence FROM anomalies ORDER BY id DESC LIMIT ?");
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
  Status loadMemory() {
    auto heads = writer_.prepare(
        "SELECT n.text, h.tenant, h.rows, h.hash, h.totals, h.latest "
        "FROM heads h JOIN names n ON n.id = h.tenant");
    if (!heads) return heads.error();
    Statement::Step step{};
    while ((step = heads->step()) == Statement::Step::row) {
      Head head;
      head.id = heads->integer(1);
      head.rows = heads->bits(2);
      head.latest = heads->integer(5);
      if (!toHash(heads->bytes(3), head.hash) || !decodeTotals(heads->bytes(4), head.totals)) {
        return Error{"ledger", "decode the head of " + std::string(heads->bytes(0)), path_, EBADMSG};
      }
      heads_.emplace(heads->bytes(0), head);
    }
    if (step == Statement::Step::failed) return writer_.error();
    auto gaps = writer_.prepare("SELECT n.text, g.rows, g.milliseconds FROM gaps g JOIN names n ON n.id = g.note");
    if (!gaps) return gaps.error();
    while ((step = gaps->step()) == Statement::Step::row) {
      gaps_.emplace(gaps->bytes(0), GapSum{gaps->bits(1), gaps->bits(2)});
    }
    if (step == Statement::Step::failed) return writer_.error();
    auto refused = writer_.prepare("SELECT COUNT(*) FROM anomalies");
    if (!refused) return refused.error();
    if (refused->step() != Statement::Step::row) return writer_.error();
    refused_ = refused->bits(0);
    return {};
  }

  Hash digestOf(const UsageBatch& batch, const std::vector<std::string>& encoded) {
    wire::Writer front;
    front.put(kChainEncoding);
    front.put(batch.source);
    front.put(batch.sequence);
    front.put(batch.bootId);
    front.put(static_cast<std::uint32_t>(encoded.size()));
    sha_.begin().add(front.bytes());
    for (const auto& row : encoded) sha_.add(row);
    return sha_.end();
  }

  Result<std::int64_t> nameId(const std::string& text) {
    if (const auto known = names_.find(text); known != names_.end()) return known->second;
    auto step = findName_.bind(1, std::string_view(text)).step();
    auto* answer = &findName_;
    if (step == Statement::Step::done) {
      findName_.reset();
      answer = &putName_;
      step = putName_.bind(1, std::string_view(text)).step();
    }
    if (step != Statement::Step::row) return writer_.error();
    const auto id = answer->integer(0);
    answer->reset();
    if (names_.size() >= kNamesInMemory) names_.clear();
    names_.emplace(text, id);
    return id;
  }

  // Inside the transaction. What memory must take over after its commit is in touched_ and touchedGaps_.
  Result<Appended> record(const UsageBatch& batch, const std::vector<std::string>& encoded, const Hash& digest,
                          std::int64_t receivedAt) {
    touched_.clear();
    touchedGaps_.clear();
    const auto source = nameId(batch.source);
    if (!source) return source.error();
    switch (findBatch_.bind(1, *source).bind(2, batch.sequence).step()) {
      case Statement::Step::row: {
        Hash stored{};
        const bool same = toHash(findBatch_.bytes(0), stored) && stored == digest;
        findBatch_.reset();
        if (same) return Appended::repeated;
        putAnomaly_.bind(1, receivedAt).bind(2, std::string_view(batch.source)).bind(3, batch.sequence);
        if (!putAnomaly_.bindBlob(4, view(digest)).bindBlob(5, view(stored)).run()) return writer_.error();
        return Appended::refused;
      }
      case Statement::Step::done:
        findBatch_.reset();
        break;
      case Statement::Step::failed:
        return writer_.error();
    }
    const auto boot = nameId(batch.bootId);
    if (!boot) return boot.error();
    putBatch_.bind(1, *source).bind(2, batch.sequence).bindBlob(3, view(digest)).bind(4, *boot).bind(5, receivedAt);
    if (putBatch_.step() != Statement::Step::row) return writer_.error();
    const auto batchId = putBatch_.integer(0);
    putBatch_.reset();

    const auto constant = batchPart(batch.source, batch.sequence, batch.bootId);
    std::map<std::string, Span> spans;
    Head* head = nullptr;
    Span* span = nullptr;
    const std::string* tenant = nullptr;
    for (std::size_t i = 0; i < batch.rows.size(); ++i) {
      const auto& row = batch.rows[i];
      if (tenant == nullptr || *tenant != row.tenantId) {
        auto opened = headOf(row.tenantId);
        if (!opened) return opened.error();
        head = *opened;
        span = &spans[row.tenantId];
        if (span->first == 0) span->first = head->rows + 1;
        tenant = &row.tenantId;
      }
      if (auto written = writeRow(row, encoded[i], constant, batchId, *head); !written) return written.error();
      span->minFrom = std::min(span->minFrom, row.from);
      span->maxFrom = std::max(span->maxFrom, row.from);
      if (row.meter == Meter::gap) countGap(row);
    }
    for (const auto& [name, one] : spans) {
      const auto& last = touched_.at(name);
      putSpan_.bind(1, last.id).bind(2, one.first).bind(3, last.rows).bind(4, one.minFrom).bind(5, one.maxFrom);
      const auto totals = encodeTotals(last.totals);
      putHead_.bind(1, last.id)
          .bind(2, last.rows)
          .bindBlob(3, view(last.hash))
          .bindBlob(4, totals)
          .bind(5, last.latest);
      if (!putSpan_.run() || !putHead_.run()) return writer_.error();
    }
    for (const auto& [note, sum] : touchedGaps_) {
      const auto id = nameId(note);
      if (!id) return id.error();
      if (!putGap_.bind(1, *id).bind(2, sum.rows).bind(3, sum.milliseconds).run()) return writer_.error();
    }
    return Appended::recorded;
  }

  Result<Head*> headOf(const std::string& tenantId) {
    const auto [entry, fresh] = touched_.try_emplace(tenantId);
    if (!fresh) return &entry->second;
    // Only this thread changes heads_, so reading it without memory_ is safe while writing_ is held.
    if (const auto known = heads_.find(tenantId); known != heads_.end()) {
      entry->second = known->second;
    } else {
      const auto id = nameId(tenantId);
      if (!id) return id.error();
      entry->second.id = *id;
    }
    return &entry->second;
  }

  Status writeRow(const UsageRow& row, std::string_view bytes, std::string_view constant, std::int64_t batchId,
                  Head& head) {
    const auto app = nameId(row.appId);
    if (!app) return app.error();
    const auto instance = nameId(row.instanceId);
    if (!instance) return instance.error();
    const auto note = nameId(row.note);
    if (!note) return note.error();
    ++head.rows;
    head.hash = rowHash(sha_, head.hash, head.rows, constant, bytes);
    addTo(head.totals, row.meter, row.quantity);
    head.latest = std::max(head.latest, row.to);
    putRow_.bind(1, head.id).bind(2, head.rows).bind(3, batchId).bind(4, *app).bind(5, *instance);
    putRow_.bind(6, static_cast<std::int64_t>(row.meter)).bind(7, row.quantity).bind(8, row.from).bind(9, row.to);
    if (!putRow_.bind(10, *note).bindBlob(11, view(head.hash)).run()) return writer_.error();
    return {};
  }

  void countGap(const UsageRow& row) {
    const auto [entry, fresh] = touchedGaps_.try_emplace(row.note);
    if (fresh) {
      if (const auto known = gaps_.find(row.note); known != gaps_.end()) entry->second = known->second;
    }
    ++entry->second.rows;
    entry->second.milliseconds += row.quantity;
  }

  void resetAll() {
    for (auto* statement :
         {&findName_, &putName_, &findBatch_, &putBatch_, &putRow_, &putSpan_, &putHead_, &putGap_, &putAnomaly_}) {
      statement->reset();
    }
  }

  std::string path_;
  std::mutex writing_;                // the writer's connection, its statements, names_, touched_
  std::mutex reading_;                // the reader's connection
  mutable std::shared_mutex memory_;  // heads_, gaps_, refused_: changed with writing_ held as well
  std::map<std::string, Head> heads_;
  std::map<std::string, GapSum> gaps_;
  std::uint64_t refused_ = 0;
  std::unordered_map<std::string, std::int64_t> names_;
  std::map<std::string, Head> touched_;
  std::map<std::string, GapSum> touchedGaps_;
  Sha256 sha_;
  Sqlite writer_;
  Sqlite reader_;
  Statement findName_;  // statements go before their connection: they stand after it
  Statement putName_;
  Statement findBatch_;
  Statement putBatch_;
  Statement putRow_;
  Statement putSpan_;
  Statement putHead_;
  Statement putGap_;
  Statement putAnomaly_;
};

Ledger::Ledger(std::unique_ptr<Database> database) : database_(std::move(database)) {}
Ledger::~Ledger() = default;

Result<std::unique_ptr<Ledger>> Ledger::open(const std::string& path) {
  auto writer = Sqlite::open(path, "ledger");
  if (!writer) return writer.error();
  if (auto made = writer->exec(kLedgerSchema); !made) return made.error();
  auto reader = Sqlite::open(path, "ledger", Sqlite::Mode::readOnly);
  if (!reader) return reader.error();
  auto database = std::make_unique<Database>(path, std::move(writer).value(), std::move(reader).value());
  if (auto prepared = database->prepare(); !prepared) return prepared.error();
  return std::unique_ptr<Ledger>(new Ledger(std::move(database)));
}

Result<Appended> Ledger::append(const UsageBatch& batch, std::int64_t receivedAt) {
  return database_->append(batch, receivedAt);
}
Result<std::vector<UsageSum>> Ledger::query(const UsageQuery& query) {
  return database_->query(query);
}
Totals Ledger::totals(const std::string& tenantId) const {
  return database_->totals(tenantId);
}
std::vector<TenantTotals> Ledger::totals() const {
  return database_->totals();
}
LedgerHealth Ledger::health() const {
  return database_->health();
}
Result<Verification> Ledger::verify(const std::string& tenantId) {
  return database_->verify(tenantId);
}
Result<std::vector<Anomaly>> Ledger::anomalies(std::size_t limit) {
  return database_->anomalies(limit);
}

}  // namespace cloister::metering
