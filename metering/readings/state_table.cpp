#include "metering/readings/state_table.h"

namespace cloister::metering {

Status StateTable::prepare(Connection& sqlite, const std::string& table, const std::string& key) {
  read_ = "SELECT " + key + ", state FROM " + table;
  for (const auto& [statement, sql] : {std::pair{&put_, "INSERT OR REPLACE INTO " + table + " VALUES(?, ?)"},
                                       std::pair{&drop_, "DELETE FROM " + table + " WHERE " + key + " = ?"},
                                       std::pair{&dropAll_, "DELETE FROM " + table}}) {
    auto prepared = sqlite.prepare(sql);
    if (!prepared) return prepared.error();
    *statement = std::move(prepared).value();
  }
  return {};
}

void StateTable::reset() {
  for (auto* statement : {&put_, &drop_, &dropAll_}) statement->reset();
}

}  // namespace cloister::metering
