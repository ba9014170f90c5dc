// A prepared statement of a PostgresSession. All values travel in their binary forms.
//
// Threads and failures: as sql.h says. The session outlives it.
#pragma once

#include <string>
#include <vector>

#include "metering/base/postgres_session.h"
#include "metering/base/postgres_wire.h"

namespace cloister::metering::sql {

class PostgresStatement final : public Prepared {
 public:
  PostgresStatement(PostgresSession& session, std::string text);
  ~PostgresStatement() override;
  PostgresStatement(const PostgresStatement&) = delete;
  PostgresStatement& operator=(const PostgresStatement&) = delete;

  // On the session's present connection, with the types of its parameters and columns.
  [[nodiscard]] bool prepare();
  [[nodiscard]] const std::vector<PostgresType>& columns() const { return columns_; }

  void bind(int index, std::int64_t value) override;
  void bindText(int index, std::string_view text) override { bindBlob(index, text); }
  void bindBlob(int index, std::string_view bytes) override;
  void bindList(int index, std::span<const std::int64_t> values) override;
  // Any type's binary form.
  void bindEncoded(int index, std::string_view bytes);
  Statement::Step step() override;
  void start() override;
  void reset() override;
  [[nodiscard]] std::int64_t integer(int column) const override;
  [[nodiscard]] std::string_view bytes(int column) const override;

 private:
  [[nodiscard]] bool send();
  [[nodiscard]] bool known(int index);

  PostgresSession& session_;
  std::string text_;
  std::string name_;
  std::uint64_t generation_ = 0;
  std::vector<PostgresType> types_;
  std::vector<PostgresType> columns_;
  std::vector<std::string> own_;  // of integers and lists: what bind() encoded
  std::vector<const char*> values_;
  std::vector<int> lengths_;
  std::string refused_;  // by a bind; told by the step
  PostgresResult result_;
  int row_ = -1;
};

}  // namespace cloister::metering::sql
