// StateTable: one of the spool's tables that keep an encoded state by name.
//
// Threads: the caller holds the connection's mutex. Failures: the connection's Error; after one of a statement, reset()
// makes the next use possible.
#pragma once

#include <cerrno>
#include <map>
#include <string>
#include <utility>

#include "metering/base/sql.h"
#include "metering/readings/kept.h"
#include "metering/readings/state_encoding.h"

namespace cloister::metering {

class StateTable {
 public:
  // `key`: the column of the names; the other one is "state".
  [[nodiscard]] Status prepare(Connection& sqlite, const std::string& table, const std::string& key);
  // EBADMSG for a state that does not decode.
  template <typename State>
  [[nodiscard]] Status load(Connection& sqlite, Kept<std::string, State>& states);
  // What changed, within a transaction; false: the connection has the error.
  template <typename State>
  [[nodiscard]] bool write(const Kept<std::string, State>& states);
  void reset();

 private:
  std::string read_;
  Statement put_;
  Statement drop_;
  Statement dropAll_;
};

template <typename State>
Status StateTable::load(Connection& sqlite, Kept<std::string, State>& states) {
  auto rows = sqlite.prepare(read_);
  if (!rows) return rows.error();
  std::map<std::string, State> loaded;
  Statement::Step step{};
  while ((step = rows->step()) == Statement::Step::row) {
    const std::string name(rows->bytes(0));
    State state;
    if (!decode(rows->bytes(1), state)) return Error{"spool", "decode the state of " + name, sqlite.name(), EBADMSG};
    loaded.emplace(name, std::move(state));
  }
  if (step == Statement::Step::failed) return sqlite.error();
  states.load(std::move(loaded));
  return {};
}

template <typename State>
bool StateTable::write(const Kept<std::string, State>& states) {
  return states.store([this] { return dropAll_.run(); },
                      [this](const std::string& name, const State& state) {
                        return put_.bind(1, std::string_view(name)).bindBlob(2, encode(state)).run();
                      },
                      [this](const std::string& name) { return drop_.bind(1, std::string_view(name)).run(); });
}

}  // namespace cloister::metering
