#include "controlplane/store/sqlite.h"

#include <sqlite3.h>

#include <utility>

namespace cloister::store {

StoreError::StoreError(int code, const std::string& message, std::string_view sql)
    : std::runtime_error("database: " + message + " (" + std::to_string(code) + ")" +
                         (sql.empty() ? std::string() : " in " + std::string(sql))),
      code_(code),
      sql_(sql) {}

bool StoreError::duplicate() const {
  return code_ == SQLITE_CONSTRAINT_UNIQUE || code_ == SQLITE_CONSTRAINT_PRIMARYKEY;
}

bool StoreError::referenced() const {
  return code_ == SQLITE_CONSTRAINT_FOREIGNKEY;
}

Statement::Statement(Database& database, sqlite3_stmt* handle)
    : database_(&database), handle_(handle), sql_(sqlite3_sql(handle)) {}

Statement::Statement(Statement&& other) noexcept
    : database_(other.database_), handle_(std::exchange(other.handle_, nullptr)), sql_(other.sql_) {}

Statement::~Statement() {
  if (handle_ != nullptr) database_->giveBack(sql_, handle_);
}

bool Statement::step() {
  const int code = sqlite3_step(handle_);
  if (code == SQLITE_ROW) return true;
  if (code != SQLITE_DONE) database_->fail(sqlite3_extended_errcode(database_->handle_), sql_);
  return false;
}

void Statement::run() {
  while (step()) {
  }
}

std::int64_t Statement::integer(int column) const {
  return sqlite3_column_int64(handle_, column);
}

std::string Statement::text(int column) const {
  const unsigned char* bytes = sqlite3_column_text(handle_, column);
  if (bytes == nullptr) return {};
  const auto size = static_cast<std::size_t>(sqlite3_column_bytes(handle_, column));
  return {reinterpret_cast<const char*>(bytes), size};
}

void Statement::bindInteger(int index, std::int64_t value) {
  const int code = sqlite3_bind_int64(handle_, index, value);
  if (code != SQLITE_OK) database_->fail(code, sql_);
}

void Statement::bindText(int index, std::string_view value) {
  // An empty view may have no data(), and that would bind NULL.
  const char* bytes = value.empty() ? "" : value.data();
  // The copy spares every caller from keeping its arguments alive (SQLITE_TRANSIENT spelt without its C cast).
  const auto transient = reinterpret_cast<sqlite3_destructor_type>(static_cast<std::intptr_t>(-1));
  const int code = sqlite3_bind_text64(handle_, index, bytes, value.size(), transient, SQLITE_UTF8);
  if (code != SQLITE_OK) database_->fail(code, sql_);
}

Database::Database(const std::string& path) {
  const int flags = SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_EXRESCODE;
  const int code = sqlite3_open_v2(path.c_str(), &handle_, flags, nullptr);
  if (code != SQLITE_OK) {
    const StoreError error(code, path + ": " + sqlite3_errstr(code), {});
    sqlite3_close_v2(handle_);
    throw error;
  }
  try {
    sqlite3_busy_timeout(handle_, 5'000);
    script(
        "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA foreign_keys = ON; PRAGMA trusted_schema = OFF;");
  } catch (...) {
    sqlite3_close_v2(handle_);
    throw;
  }
}

Database::~Database() {
  for (auto& [sql, handles] : idle_) {
    for (sqlite3_stmt* handle : handles) sqlite3_finalize(handle);
  }
  sqlite3_close_v2(handle_);
}

Statement Database::prepare(std::string_view sql) {
  if (const auto found = idle_.find(sql); found != idle_.end() && !found->second.empty()) {
    sqlite3_stmt* handle = found->second.back();
    found->second.pop_back();
    return {*this, handle};
  }
  sqlite3_stmt* handle = nullptr;
  const int code = sqlite3_prepare_v3(handle_, sql.data(), static_cast<int>(sql.size()), SQLITE_PREPARE_PERSISTENT,
                                      &handle, nullptr);
  if (code != SQLITE_OK) fail(code, sql);
  return {*this, handle};
}

void Database::script(const std::string& sql) {
  const int code = sqlite3_exec(handle_, sql.c_str(), nullptr, nullptr, nullptr);
  if (code != SQLITE_OK) fail(sqlite3_extended_errcode(handle_), sql);
}

std::int64_t Database::changes() const {
  return sqlite3_changes64(handle_);
}

std::int64_t Database::totalChanges() const {
  return sqlite3_total_changes64(handle_);
}

bool Database::inTransaction() const {
  return sqlite3_get_autocommit(handle_) == 0;
}

void Database::fail(int code, std::string_view sql) const {
  throw StoreError(code, sqlite3_errmsg(handle_), sql);
}

void Database::giveBack(std::string_view sql, sqlite3_stmt* handle) {
  sqlite3_reset(handle);  // its error was reported by step()
  sqlite3_clear_bindings(handle);
  idle_[sql].push_back(handle);
}

Transaction::Transaction(Database& database) : database_(database) {
  database_.script("BEGIN IMMEDIATE");
}

Transaction::~Transaction() {
  if (!open_ || !database_.inTransaction()) return;
  try {
    database_.script("ROLLBACK");
  } catch (const StoreError&) {
    // sqlite has rolled back by itself (full disk, I/O error): nothing is left to undo.
  }
}

void Transaction::commit() {
  database_.script("COMMIT");
  open_ = false;
}

}  // namespace cloister::store
