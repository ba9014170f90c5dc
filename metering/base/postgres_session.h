// PostgresSession: one connection to a PostgreSQL server over libpq, made by the first call and again when it broke.
//
// Until it was made for the first time, a failure says whether the server is away or refuses (sql.h): the server is
// asked by a second attempt. Later a refusal counts as away, for what was let in once may be so again.
//
// libpq runs in its non-blocking mode, so that a server that stops answering costs the patience that was set and no
// more, whatever was being sent. `generation()` counts the connections: what was prepared on one is not there on the
// next.
// Threads and failures: as sql.h says.
#pragma once

#include <libpq-fe.h>

#include <chrono>
#include <memory>
#include <string>
#include <string_view>

#include "metering/base/sql_session.h"

namespace cloister::metering::sql {

struct ResultClear {
  void operator()(PGresult* result) const { PQclear(result); }
};
// Null: it failed, and the session's error() says why.
using PostgresResult = std::unique_ptr<PGresult, ResultClear>;

class PostgresSession final : public Session {
 public:
  PostgresSession(std::string location, std::string name, std::string stage, Connection::Mode mode);
  ~PostgresSession() override;
  PostgresSession(const PostgresSession&) = delete;
  PostgresSession& operator=(const PostgresSession&) = delete;

  [[nodiscard]] Connection::Kind kind() const override { return Connection::Kind::postgres; }
  [[nodiscard]] const std::string& name() const override { return name_; }
  Status exec(const std::string& text) override;
  Result<std::unique_ptr<Prepared>> prepare(const std::string& text) override;
  Result<std::unique_ptr<Gathered>> bulk(const BulkTarget& target) override;
  Result<std::int64_t> format() override;
  Status setFormat(std::int64_t format) override;
  Status begin() override;
  Status beginSnapshot() override;
  Status commit() override;
  void rollback() override;
  [[nodiscard]] Error error() const override { return error_; }

  // For statements: a usable connection, then sends on it, then the answer.
  [[nodiscard]] bool ready();
  [[nodiscard]] PGconn* handle() const { return handle_; }
  [[nodiscard]] std::uint64_t generation() const { return generation_; }
  // What a PQsend... gave, and all answers to it; the last one is kept, or the first COPY.
  [[nodiscard]] PostgresResult answer(int sent);
  // Whose answer is still to be taken: until then ready() refuses.
  [[nodiscard]] const Prepared* startedBy() const { return startedBy_; }
  void setStartedBy(const Prepared* statement) { startedBy_ = statement; }
  [[nodiscard]] std::string nextStatementName() { return "cloister_" + std::to_string(++statements_); }
  bool fail(std::string reason, int code = 0);

 private:
  [[nodiscard]] bool connect();
  [[nodiscard]] bool reach();
  [[nodiscard]] bool introduce();
  [[nodiscard]] bool await();
  [[nodiscard]] bool alive();
  void lose(const std::string& reason, int code);
  void noteResult(const PGresult* result);
  Status open(const char* text);

  std::string location_;
  std::string name_;
  std::string stage_;
  Connection::Mode mode_;
  PGconn* handle_ = nullptr;
  std::uint64_t generation_ = 0;
  std::uint64_t statements_ = 0;
  bool inside_ = false;  // of a transaction, also when its connection is gone
  const Prepared* startedBy_ = nullptr;
  std::chrono::milliseconds patience_{};
  std::chrono::steady_clock::time_point refusedUntil_;
  Error error_;
};

}  // namespace cloister::metering::sql
