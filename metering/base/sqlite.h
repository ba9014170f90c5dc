// Sqlite: a connection and its prepared statements, thin over sqlite3: errors as values, handles owned.
//
// Threads: one at a time per connection (opened SQLITE_OPEN_NOMUTEX); the owner holds a mutex.
// Failures: Error{stage as given to open(), operation = SQLite's text, path = the database, code 0}. Statements belong
// to a connection and must go before it.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "sandbox/base/result.h"

struct sqlite3;
struct sqlite3_stmt;

namespace cloister::metering {

class Statement {
 public:
  Statement() = default;
  explicit Statement(sqlite3_stmt* handle) : handle_(handle) {}
  Statement(Statement&& other) noexcept;
  Statement& operator=(Statement&& other) noexcept;
  Statement(const Statement&) = delete;
  Statement& operator=(const Statement&) = delete;
  ~Statement();

  // Parameters are numbered from 1. Text and blobs must live until the step: they are not copied.
  Statement& bind(int index, std::int64_t value);
  Statement& bind(int index, std::uint64_t value);  // the same 64 bits
  Statement& bind(int index, std::string_view text);
  Statement& bindBlob(int index, std::string_view bytes);

  enum class Step { row, done, failed };
  Step step();
  // For statements without rows: steps and resets; false when it failed.
  bool run();
  void reset();

  [[nodiscard]] std::int64_t integer(int column) const;
  [[nodiscard]] std::uint64_t bits(int column) const;
  // Valid until the next step or reset.
  [[nodiscard]] std::string_view bytes(int column) const;

 private:
  sqlite3_stmt* handle_ = nullptr;
};

class Sqlite {
 public:
  enum class Mode { readWrite, readOnly };
  // WAL, synchronous FULL, foreign keys on, five seconds of patience with another writer.
  [[nodiscard]] static Result<Sqlite> open(const std::string& path, std::string stage, Mode mode = Mode::readWrite);
  Sqlite(Sqlite&& other) noexcept;
  Sqlite& operator=(Sqlite&& other) noexcept;
  Sqlite(const Sqlite&) = delete;
  Sqlite& operator=(const Sqlite&) = delete;
  ~Sqlite();

  [[nodiscard]] Status exec(const char* sql);
  [[nodiscard]] Result<Statement> prepare(std::string_view sql);
  // What the last call on this connection said.
  [[nodiscard]] Error error() const;
  // The last call said that the file is no database or damaged.
  [[nodiscard]] bool damaged() const;

 private:
  Sqlite(sqlite3* handle, std::string path, std::string stage);
  sqlite3* handle_ = nullptr;
  std::string path_;
  std::string stage_;
};

// BEGIN IMMEDIATE ... COMMIT; rolls back when it goes out of scope without a commit.
class Transaction {
 public:
  explicit Transaction(Sqlite& database) : database_(database) {}
  Transaction(const Transaction&) = delete;
  Transaction& operator=(const Transaction&) = delete;
  ~Transaction();
  [[nodiscard]] Status begin();
  [[nodiscard]] Status commit();

 private:
  Sqlite& database_;
  bool open_ = false;
};

}  // namespace cloister::metering
