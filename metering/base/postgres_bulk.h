// Rows gathered for a table of a PostgresSession: COPY for rows that must be new, arrays for rows that replace others.
//
// Threads and failures: as sql.h says. The session outlives them.
#pragma once

#include <string>
#include <vector>

#include "metering/base/postgres_statement.h"

namespace cloister::metering::sql {

class PostgresCopy final : public Gathered {
 public:
  PostgresCopy(PostgresSession& session, const BulkTarget& target, std::vector<PostgresType> types);
  void bind(int index, std::int64_t value) override;
  void bindText(int index, std::string_view text) override { bindBlob(index, text); }
  void bindBlob(int index, std::string_view bytes) override;
  bool add() override;
  bool flush() override;
  void reset() override;

 private:
  [[nodiscard]] bool next(int index, PostgresType type);
  PostgresSession& session_;
  std::string text_;
  std::vector<PostgresType> types_;
  std::string rows_;
  std::size_t bound_ = 0;
  bool refused_ = false;
};

class PostgresReplace final : public Gathered {
 public:
  PostgresReplace(PostgresSession& session, const BulkTarget& target, const std::vector<PostgresType>& types);
  [[nodiscard]] bool prepare() { return statement_.prepare(); }
  void bind(int index, std::int64_t value) override;
  void bindText(int index, std::string_view text) override { bindBlob(index, text); }
  void bindBlob(int index, std::string_view bytes) override;
  bool add() override;
  bool flush() override;
  void reset() override;

 private:
  PostgresSession& session_;
  PostgresStatement statement_;
  std::vector<PostgresType> types_;
  std::vector<PostgresArray> arrays_;
  std::size_t bound_ = 0;
  std::size_t rows_ = 0;
  bool refused_ = false;
};

}  // namespace cloister::metering::sql
