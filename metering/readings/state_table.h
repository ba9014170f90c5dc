// StateTable: one of the spool's tables that keep an encoded state by name, and what is stored in it, so that a commit
// writes only what differs: most commits touch one group.
//
// Threads: the caller holds the connection's mutex. Failures: the connection's Error; after one of a statement, reset()
// makes the next use possible.
#pragma once

#include <map>
#include <string>

#include "metering/base/sql.h"

namespace cloister::metering {

class StateTable {
 public:
  using Rows = std::map<std::string, std::string>;  // name, encoded state

  // `key`: the column of the names; the other one is "state".
  [[nodiscard]] Status prepare(Connection& sqlite, const std::string& table, const std::string& key);
  [[nodiscard]] Status load(Connection& sqlite);
  [[nodiscard]] const Rows& rows() const { return rows_; }
  // Within a transaction; false: the connection has the error.
  [[nodiscard]] bool write(const Rows& wanted);
  // That transaction is committed.
  void committed(Rows wanted) { rows_ = std::move(wanted); }
  void reset();

 private:
  std::string read_;
  Rows rows_;
  Statement put_;
  Statement drop_;
};

}  // namespace cloister::metering
