#include "metering/readings/spool.h"

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <mutex>
#include <optional>

#include "metering/base/encoding.h"
#include "metering/base/sql.h"
#include "metering/readings/state_encoding.h"
#include "metering/readings/state_table.h"
#include "sandbox/base/counters.h"

namespace cloister::metering {
namespace {

constexpr const char* kSchema = R"(
CREATE TABLE IF NOT EXISTS meta(key TEXT PRIMARY KEY, value INTEGER NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS groups(name TEXT PRIMARY KEY, state BLOB NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS networks(tenant TEXT PRIMARY KEY, state BLOB NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS amounts(key BLOB PRIMARY KEY, quantity INTEGER NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS segments(tenant TEXT PRIMARY KEY, state BLOB NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS batches(sequence INTEGER PRIMARY KEY, boot TEXT NOT NULL, rows BLOB NOT NULL);
CREATE TABLE IF NOT EXISTS clock(boot TEXT PRIMARY KEY, micros INTEGER NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS hosts(boot TEXT PRIMARY KEY, state BLOB NOT NULL) WITHOUT ROWID;
)";
constexpr std::int64_t kFormat = 3;
constexpr const char* kSetFormat = "PRAGMA user_version = 3";

}  // namespace

class Spool::Database {
 public:
  Database(Connection sqlite, std::string path, std::string source)
      : path_(std::move(path)), source_(std::move(source)), sqlite_(std::move(sqlite)) {}

  // Sets damage() when SQLite finds the file unusable.
  Status prepare() {
    {
      auto check = sqlite_.prepare("PRAGMA quick_check(1)");
      if (!check) return note(check.error());
      if (check->step() != Statement::Step::row) return note(sqlite_.error());
      if (check->bytes(0) != "ok") {
        damaged_ = true;
        return Error{"spool", "quick_check: " + std::string(check->bytes(0)), path_, 0};
      }
    }
    std::int64_t format = 0;
    {
      auto version = sqlite_.prepare("PRAGMA user_version");
      if (!version) return note(version.error());
      if (version->step() != Statement::Step::row) return note(sqlite_.error());
      format = version->integer(0);
    }
    if (format > kFormat)
      return Error{"spool", "format " + std::to_string(format) + " is newer than this program", path_, 0};
    past_ = format > 0 ? Past::known : Past::none;
    Transaction transaction(sqlite_);
    if (auto begun = transaction.begin(); !begun) return note(begun);
    if (auto made = sqlite_.exec(kSchema); !made) return note(made);
    if (auto made = sqlite_.exec(kSetFormat); !made) return note(made);
    if (auto done = transaction.commit(); !done) return note(done);

    if (auto prepared = sqlite_.prepare({{&putMeta_, "INSERT OR REPLACE INTO meta VALUES(?, ?)"},
                                         {&putAmount_, "INSERT OR REPLACE INTO amounts VALUES(?, ?)"},
                                         {&dropAmount_, "DELETE FROM amounts WHERE key = ?"},
                                         {&dropAmounts_, "DELETE FROM amounts"},
                                         {&dropClock_, "DELETE FROM clock"},
                                         {&putClock_, "INSERT INTO clock VALUES(?, ?)"},
                                         {&dropHosts_, "DELETE FROM hosts"},
                                         {&putHost_, "INSERT INTO hosts VALUES(?, ?)"},
                                         {&putBatch_, "INSERT INTO batches VALUES(?, ?, ?)"},
                                         {&dropBatch_, "DELETE FROM batches WHERE sequence = ?"}});
        !prepared)
      return note(prepared);
    if (auto prepared = groups_.prepare(sqlite_, "groups", "name"); !prepared) return note(prepared);
    if (auto prepared = networks_.prepare(sqlite_, "networks", "tenant"); !prepared) return note(prepared);
    if (auto prepared = segments_.prepare(sqlite_, "segments", "tenant"); !prepared) return note(prepared);
    auto last = meta("sequence");
    if (!last) return last.error();
    // Also a spool that lost its end, or all of itself, must not give a sequence again: the calendar is ahead of any
    // count.
    sequence_ = static_cast<std::uint64_t>(std::max(*last, counters::utcMicros()));
    return {};
  }

  [[nodiscard]] bool damaged() const { return damaged_; }
  [[nodiscard]] Past past() const { return past_; }
  [[nodiscard]] const std::string& source() const { return source_; }

  Result<SpoolState> load() {
    const std::lock_guard lock(mutex_);
    SpoolState state;
    auto window = meta("window_from");
    if (!window) return window.error();
    state.windowFrom = *window;
    if (auto read = groups_.load(sqlite_, state.groups); !read) return read.error();
    if (auto read = networks_.load(sqlite_, state.networks); !read) return read.error();
    if (auto read = segments_.load(sqlite_, state.segments); !read) return read.error();
    auto rows = sqlite_.prepare("SELECT key, quantity FROM amounts");
    if (!rows) return rows.error();
    Statement::Step step{};
    std::map<AmountKey, std::uint64_t> amounts;
    while ((step = rows->step()) == Statement::Step::row) {
      AmountKey key;
      if (!decode(rows->bytes(0), key)) return Error{"spool", "decode an amount", path_, EBADMSG};
      amounts.emplace(std::move(key), rows->bits(1));
    }
    if (step == Statement::Step::failed) return sqlite_.error();
    state.amounts.load(std::move(amounts));
    auto host = sqlite_.prepare("SELECT state FROM hosts");
    if (!host) return host.error();
    step = host->step();
    if (step == Statement::Step::failed) return sqlite_.error();
    if (step == Statement::Step::row && !decode(host->bytes(0), state.host))
      return Error{"spool", "decode the state of the host", path_, EBADMSG};
    host_ = state.host;
    auto clock = sqlite_.prepare("SELECT boot, micros FROM clock");
    if (!clock) return clock.error();
    step = clock->step();
    if (step == Statement::Step::failed) return sqlite_.error();
    if (step == Statement::Step::row) state.clock = {std::string(clock->bytes(0)), clock->integer(1)};
    clock_ = state.clock;
    return state;
  }

  Status commit(const SpoolState& state, const std::string& bootId, const RowLists& sealed) {
    const std::lock_guard lock(mutex_);
    auto sequence = sequence_;
    Transaction transaction(sqlite_);
    if (auto begun = transaction.begin(); !begun) return begun;
    bool good = groups_.write(state.groups) && networks_.write(state.networks) && segments_.write(state.segments) &&
                writeAmounts(state.amounts) && writeClock(state.clock) && writeHost(state.host);
    for (const auto& rows : sealed.encoded()) {
      good = good && putBatch_.bind(1, ++sequence).bind(2, bootId).bindBlob(3, rows).run();
    }
    good = good && putMeta_.bind(1, std::string_view("sequence")).bind(2, sequence).run() &&
           putMeta_.bind(1, std::string_view("window_from")).bind(2, state.windowFrom).run();
    if (!good) return failed();
    if (auto done = transaction.commit(); !done) return done;
    sequence_ = sequence;
    clock_ = state.clock;
    host_ = state.host;
    return {};
  }

  Result<std::vector<UsageBatch>> pending(std::size_t limit) {
    const std::lock_guard lock(mutex_);
    auto rows = sqlite_.prepare("SELECT sequence, boot, rows FROM batches ORDER BY sequence LIMIT ?");
    if (!rows) return rows.error();
    rows->bind(1, static_cast<std::int64_t>(std::min<std::size_t>(limit, INT64_MAX)));
    std::vector<UsageBatch> batches;
    Statement::Step step{};
    while ((step = rows->step()) == Statement::Step::row) {
      UsageBatch batch{source_, rows->bits(0), std::string(rows->bytes(1)), {}};
      if (!decodeRows(rows->bytes(2), batch.rows)) {
        return Error{"spool", "decode batch " + std::to_string(batch.sequence), path_, EBADMSG};
      }
      batches.push_back(std::move(batch));
    }
    if (step == Statement::Step::failed) return sqlite_.error();
    return batches;
  }

  Status acknowledge(std::uint64_t sequence) {
    const std::lock_guard lock(mutex_);
    if (!dropBatch_.bind(1, sequence).run()) return failed();
    return {};
  }

  Status renumber(std::uint64_t sequence) {
    const std::lock_guard lock(mutex_);
    auto known = sqlite_.prepare("SELECT sequence FROM batches WHERE sequence >= ? ORDER BY sequence");
    if (!known) return known.error();
    auto change = sqlite_.prepare("UPDATE batches SET sequence = ? WHERE sequence = ?");
    if (!change) return change.error();
    std::vector<std::uint64_t> all;
    known->bind(1, sequence);
    Statement::Step step{};
    while ((step = known->step()) == Statement::Step::row) all.push_back(known->bits(0));
    if (step == Statement::Step::failed) return sqlite_.error();
    if (all.empty() || all.front() != sequence) return {};
    known->reset();
    auto fresh = sequence_;
    Transaction transaction(sqlite_);
    if (auto begun = transaction.begin(); !begun) return begun;
    for (const auto one : all) {
      if (!change->bind(1, ++fresh).bind(2, one).run()) return sqlite_.error();
    }
    if (!putMeta_.bind(1, std::string_view("sequence")).bind(2, fresh).run()) return failed();
    if (auto done = transaction.commit(); !done) return done;
    sequence_ = fresh;
    return {};
  }

  // Takes over what can be read of the batches of a damaged file; how many there were, nobody knows.
  Status salvage(const std::string& damaged) {
    auto other = Connection::openFile(damaged, "spool", Connection::Mode::readOnly);
    if (!other) return {};
    // Without it SQLite reads nothing at all of a file that is shorter than it says.
    if (!other->exec("PRAGMA writable_schema = ON")) return {};
    // By rowid, either way: a page that is gone ends one of them only.
    Transaction transaction(sqlite_);
    if (auto begun = transaction.begin(); !begun) return begun;
    auto put = sqlite_.prepare("INSERT OR IGNORE INTO batches VALUES(?, ?, ?)");
    if (!put) return put.error();
    for (const char* order : {"ASC", "DESC"}) {
      auto rows = other->prepare(std::string("SELECT sequence, boot, rows FROM batches ORDER BY sequence ") + order);
      if (!rows) continue;
      while (rows->step() == Statement::Step::row) {
        std::vector<UsageRow> decoded;
        const auto sequence = rows->bits(0);
        if (sequence == 0 || sequence > INT64_MAX || !decodeRows(rows->bytes(2), decoded)) continue;
        sequence_ = std::max(sequence_, sequence);
        if (!put->bind(1, sequence).bind(2, rows->bytes(1)).bindBlob(3, rows->bytes(2)).run()) return sqlite_.error();
      }
    }
    if (!putMeta_.bind(1, std::string_view("sequence")).bind(2, sequence_).run()) return failed();
    return transaction.commit();
  }

 private:
  Error note(Error error) {
    damaged_ = sqlite_.damaged();
    return error;
  }
  Error note(const Status& status) { return note(status.error()); }

  // The error of the statement that failed, then all of them ready for the next commit.
  Error failed() {
    auto error = sqlite_.error();
    for (auto* table : {&groups_, &networks_, &segments_}) table->reset();
    for (auto* statement : {&putMeta_, &putAmount_, &dropAmount_, &dropAmounts_, &dropClock_, &putClock_, &dropHosts_,
                            &putHost_, &putBatch_, &dropBatch_}) {
      statement->reset();
    }
    return error;
  }

  Result<std::int64_t> meta(std::string_view key) {
    auto read = sqlite_.prepare("SELECT value FROM meta WHERE key = ?");
    if (!read) return read.error();
    switch (read->bind(1, key).step()) {
      case Statement::Step::row:
        return read->integer(0);
      case Statement::Step::done:
        return std::int64_t{0};
      case Statement::Step::failed:
        break;
    }
    return sqlite_.error();
  }

  bool writeAmounts(const Kept<AmountKey, std::uint64_t>& amounts) {
    return amounts.store([this] { return dropAmounts_.run(); },
                         [this](const AmountKey& key, std::uint64_t quantity) {
                           return putAmount_.bindBlob(1, encode(key)).bind(2, quantity).run();
                         },
                         [this](const AmountKey& key) { return dropAmount_.bindBlob(1, encode(key)).run(); });
  }

  bool writeClock(const ClockState& wanted) {
    if (wanted == clock_) return true;
    return dropClock_.run() && putClock_.bind(1, wanted.bootId).bind(2, wanted.offsetMicros).run();
  }

  bool writeHost(const HostState& wanted) {
    if (wanted == host_) return true;
    return dropHosts_.run() && putHost_.bind(1, wanted.bootId).bindBlob(2, encode(wanted)).run();
  }

  std::mutex mutex_;
  std::string path_;
  std::string source_;
  Past past_ = Past::none;
  bool damaged_ = false;
  std::uint64_t sequence_ = 0;
  ClockState clock_;  // as stored
  HostState host_;
  Connection sqlite_;
  Statement putMeta_;  // statements go before their connection: they stand after it
  StateTable groups_;
  StateTable networks_;
  StateTable segments_;
  Statement putAmount_;
  Statement dropAmount_;
  Statement dropAmounts_;
  Statement dropClock_;
  Statement putClock_;
  Statement dropHosts_;
  Statement putHost_;
  Statement putBatch_;
  Statement dropBatch_;
};

Spool::Spool(std::unique_ptr<Database> database) : database_(std::move(database)) {}
Spool::~Spool() = default;

Result<std::unique_ptr<Spool>> Spool::open(const std::string& path, const std::string& source) {
  std::string aside;
  for (int attempt = 0;; ++attempt) {
    std::unique_ptr<Database> database;
    auto sqlite = Connection::openFile(path, "spool");
    Status usable;
    bool damaged = false;
    if (sqlite) {
      database = std::make_unique<Database>(std::move(sqlite).value(), path, source);
      usable = database->prepare();
      damaged = database->damaged();
    } else {
      usable = sqlite.error();
      damaged = sqlite.error().code == EBADMSG;
    }
    if (usable) {
      // A row that does not decode would end the node at every start; it is damage like any other.
      const auto loaded = database->load();
      if (!loaded) usable = loaded.error();
      damaged = !loaded && loaded.error().code == EBADMSG;
    }
    if (usable && !aside.empty()) usable = database->salvage(aside);
    if (usable) return std::unique_ptr<Spool>(new Spool(std::move(database)));
    if (!damaged || attempt > 0) return usable.error();
    database.reset();
    aside = path + ".damaged-" + std::to_string(counters::utcMicros());
    if (std::rename(path.c_str(), aside.c_str()) != 0) return errnoError("spool", "rename", path);
    // A write-ahead log belongs to its file; beside a new one it would be replayed into it.
    for (const char* suffix : {"-wal", "-shm"}) {
      if (std::rename((path + suffix).c_str(), (aside + suffix).c_str()) != 0 && errno != ENOENT) {
        return errnoError("spool", "rename", path + suffix);
      }
    }
  }
}

Spool::Past Spool::past() const {
  return database_->past();
}
const std::string& Spool::source() const {
  return database_->source();
}
Result<SpoolState> Spool::load() {
  return database_->load();
}
Status Spool::commit(const SpoolState& state, const std::string& bootId, const RowLists& sealed) {
  return database_->commit(state, bootId, sealed);
}
Result<std::vector<UsageBatch>> Spool::pending(std::size_t limit) {
  return database_->pending(limit);
}
Status Spool::acknowledge(std::uint64_t sequence) {
  return database_->acknowledge(sequence);
}
Status Spool::renumber(std::uint64_t sequence) {
  return database_->renumber(sequence);
}

}  // namespace cloister::metering
