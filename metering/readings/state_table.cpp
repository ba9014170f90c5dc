#include "metering/readings/state_table.h"

namespace cloister::metering {

Status StateTable::prepare(Connection& sqlite, const std::string& table, const std::string& key) {
  read_ = "SELECT " + key + ", state FROM " + table;
  return sqlite.prepare({{&put_, "INSERT OR REPLACE INTO " + table + " VALUES(?, ?)"},
                         {&drop_, "DELETE FROM " + table + " WHERE " + key + " = ?"},
                         {&dropAll_, "DELETE FROM " + table}});
}

void StateTable::reset() {
  for (auto* statement : {&put_, &drop_, &dropAll_}) statement->reset();
}

}  // namespace cloister::metering
