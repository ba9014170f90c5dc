// What a database behind sql.h does: its session, a prepared statement of it, and rows gathered for a table.
//
// Threads and failures: as sql.h says; a call that returns false or Step::failed has left its Error in the session.
#pragma once

#include <memory>
#include <string>
#include <string_view>

#include "metering/base/sql.h"

namespace cloister::metering::sql {

class Prepared {
 public:
  virtual ~Prepared() = default;
  virtual void bind(int index, std::int64_t value) = 0;
  virtual void bindText(int index, std::string_view text) = 0;
  virtual void bindBlob(int index, std::string_view bytes) = 0;
  virtual void bindList(int index, std::span<const std::int64_t> values) = 0;
  virtual Statement::Step step() = 0;
  virtual void start() = 0;
  virtual void reset() = 0;
  [[nodiscard]] virtual std::int64_t integer(int column) const = 0;
  [[nodiscard]] virtual std::string_view bytes(int column) const = 0;
};

class Gathered {
 public:
  virtual ~Gathered() = default;
  virtual void bind(int index, std::int64_t value) = 0;
  virtual void bindText(int index, std::string_view text) = 0;
  virtual void bindBlob(int index, std::string_view bytes) = 0;
  virtual bool add() = 0;
  virtual bool flush() = 0;
  virtual void reset() = 0;
};

class Session {
 public:
  virtual ~Session() = default;
  [[nodiscard]] virtual Connection::Kind kind() const = 0;
  [[nodiscard]] virtual const std::string& name() const = 0;
  virtual Status exec(const std::string& text) = 0;
  virtual Result<std::unique_ptr<Prepared>> prepare(const std::string& text) = 0;
  virtual Result<std::unique_ptr<Gathered>> bulk(const BulkTarget& target) = 0;
  virtual Result<std::int64_t> format() = 0;
  virtual Status setFormat(std::int64_t format) = 0;
  virtual Status begin() = 0;
  virtual Status beginSnapshot() = 0;
  virtual Status commit() = 0;
  virtual void rollback() = 0;
  [[nodiscard]] virtual Error error() const = 0;
};

[[nodiscard]] Result<std::unique_ptr<Session>> openSqlite(const std::string& path, std::string stage,
                                                          Connection::Mode mode);
[[nodiscard]] Result<std::unique_ptr<Session>> openPostgres(const std::string& location, std::string stage,
                                                            Connection::Mode mode);

// `INSERT INTO ... VALUES(?1, ...)`, or its rows from `source`; with the ON CONFLICT of a target with keys.
[[nodiscard]] std::string insertInto(const BulkTarget& target, std::string_view source);

}  // namespace cloister::metering::sql
