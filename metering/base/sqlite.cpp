#include "metering/base/sqlite.h"

#include <sqlite3.h>

#include <utility>

namespace cloister::metering {

Statement::Statement(Statement&& other) noexcept : handle_(std::exchange(other.handle_, nullptr)) {}

Statement& Statement::operator=(Statement&& other) noexcept {
  if (this != &other) {
    sqlite3_finalize(handle_);
    handle_ = std::exchange(other.handle_, nullptr);
  }
  return *this;
}

Statement::~Statement() {
  sqlite3_finalize(handle_);
}

Statement& Statement::bind(int index, std::int64_t value) {
  sqlite3_bind_int64(handle_, index, value);
  return *this;
}

Statement& Statement::bind(int index, std::uint64_t value) {
  return bind(index, static_cast<std::int64_t>(value));
}

// The null destructor is SQLITE_STATIC: the caller's bytes outlive the step. A null pointer would bind NULL.
Statement& Statement::bind(int index, std::string_view text) {
  sqlite3_bind_text64(handle_, index, text.data() == nullptr ? "" : text.data(), text.size(), nullptr, SQLITE_UTF8);
  return *this;
}

Statement& Statement::bindBlob(int index, std::string_view bytes) {
  sqlite3_bind_blob64(handle_, index, bytes.data() == nullptr ? "" : bytes.data(), bytes.size(), nullptr);
  return *this;
}

Statement::Step Statement::step() {
  const int code = sqlite3_step(handle_);
  if (code == SQLITE_ROW) return Step::row;
  return code == SQLITE_DONE ? Step::done : Step::failed;
}

bool Statement::run() {
  const bool done = step() == Step::done;
  // After a failure the connection keeps the failing call's text only until the next call, so a failed one stays
  // unreset.
  if (done) reset();
  return done;
}

void Statement::reset() {
  sqlite3_reset(handle_);
}

std::int64_t Statement::integer(int column) const {
  return sqlite3_column_int64(handle_, column);
}
std::uint64_t Statement::bits(int column) const {
  return static_cast<std::uint64_t>(integer(column));
}

std::string_view Statement::bytes(int column) const {
  const auto* data = static_cast<const char*>(sqlite3_column_blob(handle_, column));
  const auto size = static_cast<std::size_t>(sqlite3_column_bytes(handle_, column));
  return data == nullptr ? std::string_view() : std::string_view(data, size);
}

Sqlite::Sqlite(sqlite3* handle, std::string path, std::string stage)
    : handle_(handle), path_(std::move(path)), stage_(std::move(stage)) {}

Sqlite::Sqlite(Sqlite&& other) noexcept
    : handle_(std::exchange(other.handle_, nullptr)), path_(std::move(other.path_)), stage_(std::move(other.stage_)) {}

Sqlite& Sqlite::operator=(Sqlite&& other) noexcept {
  if (this != &other) {
    sqlite3_close_v2(handle_);
    handle_ = std::exchange(other.handle_, nullptr);
    path_ = std::move(other.path_);
    stage_ = std::move(other.stage_);
  }
  return *this;
}

Sqlite::~Sqlite() {
  sqlite3_close_v2(handle_);
}

Result<Sqlite> Sqlite::open(const std::string& path, std::string stage, Mode mode) {
  sqlite3* handle = nullptr;
  const int flags = (mode == Mode::readWrite ? SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE : SQLITE_OPEN_READONLY) |
                    SQLITE_OPEN_NOMUTEX;
  const int code = sqlite3_open_v2(path.c_str(), &handle, flags, nullptr);
  Sqlite database(handle, path, std::move(stage));
  if (code != SQLITE_OK) return database.error();
  sqlite3_busy_timeout(handle, 5000);
  sqlite3_extended_result_codes(handle, 1);
  return database;
}

Status Sqlite::exec(const char* sql) {
  if (sqlite3_exec(handle_, sql, nullptr, nullptr, nullptr) != SQLITE_OK) return error();
  return {};
}

Result<Statement> Sqlite::prepare(std::string_view sql) {
  sqlite3_stmt* statement = nullptr;
  const int code = sqlite3_prepare_v3(handle_, sql.data(), static_cast<int>(sql.size()), SQLITE_PREPARE_PERSISTENT,
                                      &statement, nullptr);
  if (code != SQLITE_OK) return error();
  return Statement(statement);
}

Error Sqlite::error() const {
  return {stage_, handle_ == nullptr ? "out of memory" : sqlite3_errmsg(handle_), path_, 0};
}

bool Sqlite::damaged() const {
  const int code = sqlite3_errcode(handle_) & 0xff;
  return code == SQLITE_CORRUPT || code == SQLITE_NOTADB;
}

Transaction::~Transaction() {
  // Nothing to add to a failure that is reported already.
  if (open_) static_cast<void>(database_.exec("ROLLBACK"));
}

Status Transaction::begin() {
  auto begun = database_.exec("BEGIN IMMEDIATE");
  open_ = begun.ok();
  return begun;
}

Status Transaction::commit() {
  auto done = database_.exec("COMMIT");
  if (done) open_ = false;
  return done;
}

}  // namespace cloister::metering
