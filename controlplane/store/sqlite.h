// A thin layer over sqlite3: a connection, prepared statements that are reused, transactions.
//
// The connection runs in WAL with synchronous FULL (a commit is durable when commit() returns), foreign keys on and a
// busy timeout of five seconds. Threads: one at a time; Store's lock gives that. Failures: StoreError with sqlite's
// extended code and the SQL text.
#pragma once

#include <concepts>
#include <cstdint>
#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>
#include <type_traits>
#include <unordered_map>
#include <vector>

struct sqlite3;
struct sqlite3_stmt;

namespace cloister::store {

class StoreError : public std::runtime_error {
 public:
  StoreError(int code, const std::string& message, std::string_view sql);
  [[nodiscard]] int code() const { return code_; }  // extended result code
  [[nodiscard]] const std::string& sql() const { return sql_; }
  // A UNIQUE or PRIMARY KEY constraint refused the row.
  [[nodiscard]] bool duplicate() const;
  // A FOREIGN KEY constraint refused the change.
  [[nodiscard]] bool referenced() const;

 private:
  int code_;
  std::string sql_;
};

class Database;

// One execution of a prepared statement. Returns the compiled statement to the connection's cache when destroyed.
class Statement {
 public:
  Statement(Statement&& other) noexcept;
  Statement(const Statement&) = delete;
  Statement& operator=(const Statement&) = delete;
  Statement& operator=(Statement&&) = delete;
  ~Statement();

  // Binds `values` to ?1, ?2 ...: integers, strings, nullopt.
  template <typename... Values>
  Statement& bind(const Values&... values) {
    int index = 0;
    (bindOne(++index, values), ...);
    return *this;
  }
  // True while there is a row.
  [[nodiscard]] bool step();
  // Runs a statement that gives no rows.
  void run();

  [[nodiscard]] std::int64_t integer(int column) const;
  [[nodiscard]] std::string text(int column) const;
  // A column as the integer type that the value has.
  template <typename T>
  void get(int column, T& value) const {
    if constexpr (std::is_same_v<T, std::string>) {
      value = text(column);
    } else if constexpr (std::is_same_v<T, bool>) {
      value = integer(column) != 0;
    } else {
      value = static_cast<T>(integer(column));
    }
  }

 private:
  friend class Database;
  Statement(Database& database, sqlite3_stmt* handle);
  template <typename T>
  requires std::integral<T>
  void bindOne(int index, T value) { bindInteger(index, static_cast<std::int64_t>(value)); }
  void bindOne(int index, std::string_view value) { bindText(index, value); }
  void bindInteger(int index, std::int64_t value);
  void bindText(int index, std::string_view value);

  Database* database_;
  sqlite3_stmt* handle_;
  std::string_view sql_;  // the handle's own text: it lives as long as the handle
};

class Database {
 public:
  // Opens or creates; ":memory:" is allowed.
  explicit Database(const std::string& path);
  ~Database();
  Database(const Database&) = delete;
  Database& operator=(const Database&) = delete;

  [[nodiscard]] Statement prepare(std::string_view sql);
  template <typename... Values>
  void run(std::string_view sql, const Values&... values) {
    prepare(sql).bind(values...).run();
  }
  // Several statements without parameters.
  void script(const std::string& sql);
  // Rows changed by the last statement.
  [[nodiscard]] std::int64_t changes() const;
  // Rows changed since the connection was opened.
  [[nodiscard]] std::int64_t totalChanges() const;
  [[nodiscard]] bool inTransaction() const;

 private:
  friend class Statement;
  [[noreturn]] void fail(int code, std::string_view sql) const;
  void giveBack(std::string_view sql, sqlite3_stmt* handle);

  sqlite3* handle_ = nullptr;
  std::unordered_map<std::string_view, std::vector<sqlite3_stmt*>>
      idle_;  // keys are texts of handles, which live as long as the connection
};

// BEGIN IMMEDIATE ... COMMIT; rolls back when destroyed before commit().
class Transaction {
 public:
  explicit Transaction(Database& database);
  ~Transaction();
  Transaction(const Transaction&) = delete;
  Transaction& operator=(const Transaction&) = delete;
  void commit();

 private:
  Database& database_;
  bool open_ = true;
};

}  // namespace cloister::store
