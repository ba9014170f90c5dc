#include "metering/readings/state_table.h"

namespace cloister::metering {

Status StateTable::prepare(Connection& sqlite, const std::string& table, const std::string& key) {
  read_ = "SELECT " + key + ", state FROM " + table;
  auto put = sqlite.prepare("INSERT OR REPLACE INTO " + table + " VALUES(?, ?)");
  if (!put) return put.error();
  auto drop = sqlite.prepare("DELETE FROM " + table + " WHERE " + key + " = ?");
  if (!drop) return drop.error();
  put_ = std::move(put).value();
  drop_ = std::move(drop).value();
  return {};
}

Status StateTable::load(Connection& sqlite) {
  rows_.clear();
  auto rows = sqlite.prepare(read_);
  if (!rows) return rows.error();
  Statement::Step step{};
  while ((step = rows->step()) == Statement::Step::row) rows_.emplace(rows->bytes(0), rows->bytes(1));
  return step == Statement::Step::failed ? Status(sqlite.error()) : Status();
}

bool StateTable::write(const Rows& wanted) {
  for (const auto& [name, bytes] : wanted) {
    const auto found = rows_.find(name);
    if (found != rows_.end() && found->second == bytes) continue;
    if (!put_.bind(1, std::string_view(name)).bindBlob(2, bytes).run()) return false;
  }
  for (const auto& [name, bytes] : rows_) {
    if (!wanted.contains(name) && !drop_.bind(1, std::string_view(name)).run()) return false;
  }
  return true;
}

void StateTable::reset() {
  put_.reset();
  drop_.reset();
}

}  // namespace cloister::metering
