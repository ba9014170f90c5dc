// Sql: one interface to the two databases that a ledger may lie in, chosen by the location: "postgresql://..." (or
// "postgres://...") is a PostgreSQL server, everything else is the path of a SQLite file.
//
// Statements are written once: parameters as ?1, ?2 ... (or ? in order), what both databases understand, and two forms
// that are put into each one's own words when a statement is prepared or executed:
//   {blob} {text}   column types of bytes and of text with any byte in it: BLOB and TEXT, BYTEA on PostgreSQL
//   {key}           a BIGINT that is the primary key: SQLite finds its rows by an INTEGER one
//   {clustered}     after a CREATE TABLE: WITHOUT ROWID, nothing on PostgreSQL
//   {sqlite: ...} {postgres: ...}   for one of them only; the braces inside must pair
//   {list ?1}       inside IN (...): the integers of bindList()
// Integers are 64 bits wide: columns are BIGINT, and a PostgreSQL sum, which is numeric, must be CAST to BIGINT.
//
// A PostgreSQL connection is made by the first call, and one that broke is made again by the next call outside a
// transaction; statements go on over it. So open() fails for a URL that cannot be read, and not while the server is
// away: its owner starts without it. Inside a transaction, every call fails until the Transaction ends. No call waits
// for ever: connect_timeout (5 s) and statement_timeout (30 s) of the location, the role or the database hold, and
// these where none is set. A result is held whole: read large tables in pages.
//
// Threads: one at a time per connection; the owner holds a mutex. Statements and Bulks belong to a connection and must
// go before it.
// Failures: Error{stage as given to open(), operation = the database's text with its SQLSTATE, path = the location
// without its password, code: EBADMSG a damaged file, ENOTCONN no connection, ETIMEDOUT no answer in time, EACCES the
// server is there and refused the first connection (login, database, too many), EINVAL a URL that says nothing that
// could be tried, ENOSPC no room, else 0}.
#pragma once

#include <cstdint>
#include <initializer_list>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "sandbox/base/result.h"

namespace cloister::metering {

// The database is away: asking again later may help, and nothing else does.
[[nodiscard]] bool isAway(const Error& error);

namespace sql {
class Session;
class Prepared;
class Gathered;
}  // namespace sql

class Statement {
 public:
  Statement();
  explicit Statement(std::unique_ptr<sql::Prepared> prepared);
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
  Statement& bindList(int index, std::span<const std::int64_t> values);  // copied

  enum class Step { row, done, failed };
  Step step();
  // For statements without rows: steps and resets; false when it failed.
  bool run();
  // Sends the statement, so that the server works on it until step(); the connection takes no other call in between.
  void start();
  void reset();

  [[nodiscard]] std::int64_t integer(int column) const;
  [[nodiscard]] std::uint64_t bits(int column) const;
  // Valid until the next step or reset.
  [[nodiscard]] std::string_view bytes(int column) const;

 private:
  std::unique_ptr<sql::Prepared> prepared_;
};

// Rows for one table, in what each database takes fastest: bind() all columns of a row in their order, add() it, and at
// the end flush(). Rows that were added are in the table only after flush(), and no two of them have one key.
class Bulk {
 public:
  Bulk();
  explicit Bulk(std::unique_ptr<sql::Gathered> gathered);
  Bulk(Bulk&& other) noexcept;
  Bulk& operator=(Bulk&& other) noexcept;
  Bulk(const Bulk&) = delete;
  Bulk& operator=(const Bulk&) = delete;
  ~Bulk();

  Bulk& bind(int index, std::int64_t value);
  Bulk& bind(int index, std::uint64_t value);
  Bulk& bind(int index, std::string_view text);
  Bulk& bindBlob(int index, std::string_view bytes);
  // False: the connection's error() says why.
  [[nodiscard]] bool add();
  [[nodiscard]] bool flush();
  // Forgets what was not flushed.
  void reset();

 private:
  std::unique_ptr<sql::Gathered> gathered_;
};

struct BulkTarget {
  std::string table;
  std::vector<std::string> columns;
  // The first `keys` columns are the primary key, and a row that is there is replaced. 0: rows must be new.
  std::size_t keys = 0;
};

class Connection {
 public:
  enum class Mode { readWrite, readOnly };
  enum class Kind { sqlite, postgres };
  // SQLite: WAL, synchronous FULL, foreign keys on, five seconds of patience with another writer.
  // PostgreSQL: synchronous_commit at least on.
  [[nodiscard]] static Result<Connection> open(const std::string& location, std::string stage,
                                               Mode mode = Mode::readWrite);
  // SQLite only: a program that calls no other needs no libpq.
  [[nodiscard]] static Result<Connection> openFile(const std::string& path, std::string stage,
                                                   Mode mode = Mode::readWrite);
  Connection(Connection&& other) noexcept;
  Connection& operator=(Connection&& other) noexcept;
  Connection(const Connection&) = delete;
  Connection& operator=(const Connection&) = delete;
  ~Connection();

  [[nodiscard]] Kind kind() const;
  // The location without its password.
  [[nodiscard]] const std::string& name() const;
  // Any number of statements, without parameters.
  [[nodiscard]] Status exec(std::string_view text);
  [[nodiscard]] Result<Statement> prepare(std::string_view text);
  // Each into its statement; ends with the first that fails.
  [[nodiscard]] Status prepare(std::initializer_list<std::pair<Statement*, std::string>> wanted);
  [[nodiscard]] Result<Bulk> bulk(const BulkTarget& target);
  // The format that the owner of the tables recorded, 0 in a new database: user_version, or a table of that purpose.
  [[nodiscard]] Result<std::int64_t> format();
  [[nodiscard]] Status setFormat(std::int64_t format);
  // What the last call that failed on this connection said.
  [[nodiscard]] Error error() const;
  // The last call that failed said that the file is no database or damaged.
  [[nodiscard]] bool damaged() const;

 private:
  friend class Transaction;
  friend class Snapshot;
  explicit Connection(std::unique_ptr<sql::Session> session);
  std::unique_ptr<sql::Session> session_;
};

// The one writer of its database until it ends: BEGIN IMMEDIATE, or BEGIN and the lock that all writers of Cloister
// take, then READ COMMITTED, so that what is read is what the writer before left. Rolls back when it goes out of scope
// without a commit. A commit that failed with ENOTCONN or ETIMEDOUT may have happened.
class Transaction {
 public:
  explicit Transaction(Connection& database) : database_(database) {}
  Transaction(const Transaction&) = delete;
  Transaction& operator=(const Transaction&) = delete;
  ~Transaction();
  [[nodiscard]] Status begin();
  [[nodiscard]] Status commit();

 private:
  Connection& database_;
  bool open_ = false;
};

// One state of the database for several reads, while writers go on.
class Snapshot {
 public:
  explicit Snapshot(Connection& database) : database_(database) {}
  Snapshot(const Snapshot&) = delete;
  Snapshot& operator=(const Snapshot&) = delete;
  ~Snapshot();
  [[nodiscard]] Status begin();

 private:
  Connection& database_;
  bool open_ = false;
};

}  // namespace cloister::metering
