#include <sqlite3.h>

#include <cerrno>
#include <filesystem>
#include <utility>

#include "metering/base/sql_session.h"

namespace cloister::metering::sql {
namespace {

class SqliteSession final : public Session {
 public:
  SqliteSession(sqlite3* handle, std::string path, std::string stage)
      : handle_(handle), path_(std::move(path)), stage_(std::move(stage)), error_{stage_, "", path_, 0} {}
  ~SqliteSession() override { sqlite3_close_v2(handle_); }
  SqliteSession(const SqliteSession&) = delete;
  SqliteSession& operator=(const SqliteSession&) = delete;

  Status prepareFile(Connection::Mode mode) {
    sqlite3_busy_timeout(handle_, 5000);
    sqlite3_extended_result_codes(handle_, 1);
    if (mode == Connection::Mode::readOnly) return {};
    if (auto set = exec("PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA foreign_keys = ON"); !set) {
      return set;
    }
    return checkEnd();
  }

  [[nodiscard]] Connection::Kind kind() const override { return Connection::Kind::sqlite; }
  [[nodiscard]] const std::string& name() const override { return path_; }
  Status exec(const std::string& text) override {
    if (sqlite3_exec(handle_, text.c_str(), nullptr, nullptr, nullptr) != SQLITE_OK) return note();
    return {};
  }
  Result<std::unique_ptr<Prepared>> prepare(const std::string& text) override;
  Result<std::unique_ptr<Gathered>> bulk(const BulkTarget& target) override;

  Result<std::int64_t> format() override {
    auto version = prepare("PRAGMA user_version");
    if (!version) return version.error();
    if ((*version)->step() != Statement::Step::row) return error_;
    return (*version)->integer(0);
  }
  Status setFormat(std::int64_t format) override { return exec("PRAGMA user_version = " + std::to_string(format)); }

  Status begin() override { return exec("BEGIN IMMEDIATE"); }
  Status beginSnapshot() override { return exec("BEGIN"); }
  Status commit() override { return exec("COMMIT"); }
  // A full disk has rolled back already; the first error stays the one that is told.
  void rollback() override {
    if (sqlite3_get_autocommit(handle_) == 0) sqlite3_exec(handle_, "ROLLBACK", nullptr, nullptr, nullptr);
  }
  [[nodiscard]] Error error() const override { return error_; }

  // Keeps what the last call said, before another changes it.
  Error note() {
    const int code = sqlite3_errcode(handle_) & 0xff;
    const bool damaged = code == SQLITE_CORRUPT || code == SQLITE_NOTADB;
    const int number = code == SQLITE_FULL ? ENOSPC : 0;
    error_ = {stage_, handle_ == nullptr ? "out of memory" : sqlite3_errmsg(handle_), path_,
              damaged ? EBADMSG : number};
    return error_;
  }

 private:
  // SQLite sees that pages are missing, but reads a last page that was cut as if zeros followed. Only a write-ahead log
  // that is not in the file yet may explain such an end.
  Status checkEnd() {
    auto log = prepare("PRAGMA wal_checkpoint(PASSIVE)");
    if (!log) return log.error();
    if ((*log)->step() != Statement::Step::row) return error_;
    if ((*log)->integer(0) != 0 || (*log)->integer(1) != (*log)->integer(2)) return {};
    auto page = prepare("PRAGMA page_size");
    if (!page) return page.error();
    if ((*page)->step() != Statement::Step::row) return error_;
    std::error_code unknown;
    const auto size = std::filesystem::file_size(path_, unknown);
    if (unknown || size % static_cast<std::uintmax_t>((*page)->integer(0)) == 0) return {};
    error_ = {stage_, "the file ends within a page", path_, EBADMSG};
    return error_;
  }

  sqlite3* handle_;
  std::string path_;
  std::string stage_;
  Error error_;
};

class SqliteStatement final : public Prepared {
 public:
  SqliteStatement(SqliteSession& session, sqlite3_stmt* handle) : session_(session), handle_(handle) {}
  ~SqliteStatement() override { sqlite3_finalize(handle_); }
  SqliteStatement(const SqliteStatement&) = delete;
  SqliteStatement& operator=(const SqliteStatement&) = delete;

  void bind(int index, std::int64_t value) override { sqlite3_bind_int64(handle_, index, value); }
  // The null destructor is SQLITE_STATIC: the caller's bytes outlive the step. A null pointer would bind NULL.
  void bindText(int index, std::string_view text) override {
    sqlite3_bind_text64(handle_, index, text.data() == nullptr ? "" : text.data(), text.size(), nullptr, SQLITE_UTF8);
  }
  void bindBlob(int index, std::string_view bytes) override {
    sqlite3_bind_blob64(handle_, index, bytes.data() == nullptr ? "" : bytes.data(), bytes.size(), nullptr);
  }
  void bindList(int index, std::span<const std::int64_t> values) override {
    list_ = "[";
    for (const auto value : values) list_.append(list_.size() == 1 ? "" : ",").append(std::to_string(value));
    list_ += "]";
    bindText(index, list_);
  }
  Statement::Step step() override {
    const int code = sqlite3_step(handle_);
    if (code == SQLITE_ROW) return Statement::Step::row;
    if (code == SQLITE_DONE) return Statement::Step::done;
    session_.note();
    return Statement::Step::failed;
  }
  void start() override {}
  void reset() override { sqlite3_reset(handle_); }
  [[nodiscard]] std::int64_t integer(int column) const override { return sqlite3_column_int64(handle_, column); }
  [[nodiscard]] std::string_view bytes(int column) const override {
    const auto* data = static_cast<const char*>(sqlite3_column_blob(handle_, column));
    const auto size = static_cast<std::size_t>(sqlite3_column_bytes(handle_, column));
    return data == nullptr ? std::string_view() : std::string_view(data, size);
  }

 private:
  SqliteSession& session_;
  sqlite3_stmt* handle_;
  std::string list_;
};

// A prepared insert is what SQLite takes fastest.
class SqliteBulk final : public Gathered {
 public:
  explicit SqliteBulk(std::unique_ptr<Prepared> insert) : insert_(std::move(insert)) {}
  void bind(int index, std::int64_t value) override { insert_->bind(index, value); }
  void bindText(int index, std::string_view text) override { insert_->bindText(index, text); }
  void bindBlob(int index, std::string_view bytes) override { insert_->bindBlob(index, bytes); }
  bool add() override {
    const bool done = insert_->step() == Statement::Step::done;
    insert_->reset();
    return done;
  }
  bool flush() override { return true; }
  void reset() override {}

 private:
  std::unique_ptr<Prepared> insert_;
};

Result<std::unique_ptr<Prepared>> SqliteSession::prepare(const std::string& text) {
  sqlite3_stmt* statement = nullptr;
  const int code = sqlite3_prepare_v3(handle_, text.c_str(), static_cast<int>(text.size()) + 1,
                                      SQLITE_PREPARE_PERSISTENT, &statement, nullptr);
  if (code != SQLITE_OK) return note();
  return std::unique_ptr<Prepared>(std::make_unique<SqliteStatement>(*this, statement));
}

Result<std::unique_ptr<Gathered>> SqliteSession::bulk(const BulkTarget& target) {
  std::string values = "VALUES(";
  for (std::size_t i = 1; i <= target.columns.size(); ++i)
    values.append(i == 1 ? "?" : ", ?").append(std::to_string(i));
  auto insert = prepare(insertInto(target, values + ")"));
  if (!insert) return insert.error();
  return std::unique_ptr<Gathered>(std::make_unique<SqliteBulk>(std::move(insert).value()));
}

}  // namespace

Result<std::unique_ptr<Session>> openSqlite(const std::string& path, std::string stage, Connection::Mode mode) {
  sqlite3* handle = nullptr;
  const int flags =
      (mode == Connection::Mode::readWrite ? SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE : SQLITE_OPEN_READONLY) |
      SQLITE_OPEN_NOMUTEX;
  const int code = sqlite3_open_v2(path.c_str(), &handle, flags, nullptr);
  auto session = std::make_unique<SqliteSession>(handle, path, std::move(stage));
  if (code != SQLITE_OK) return session->note();
  if (auto ready = session->prepareFile(mode); !ready) return ready.error();
  return std::unique_ptr<Session>(std::move(session));
}

}  // namespace cloister::metering::sql
