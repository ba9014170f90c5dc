#include "controlplane/store/migrations.h"

#include <sqlite3.h>

#include <string>

#include "controlplane/store/schema_steps.h"

namespace cloister::store {

int latestSchema() {
  return static_cast<int>(schemaSteps().size());
}

int schemaOf(Database& database) {
  database.script("CREATE TABLE IF NOT EXISTS schema_steps (step BIGINT PRIMARY KEY)");
  auto query = database.prepare("SELECT COALESCE(MAX(step), 0) FROM schema_steps");
  return query.step() ? static_cast<int>(query.integer(0)) : 0;
}

void migrate(Database& database, int last) {
  const int present = schemaOf(database);
  if (present > latestSchema()) {
    const auto known = std::to_string(latestSchema());
    throw StoreError(SQLITE_ERROR,
                     "the database has schema " + std::to_string(present) + ", newer than this binary's " + known, {});
  }
  for (int step = present; step < last; ++step) {
    Transaction transaction(database);
    database.script(std::string(schemaSteps()[static_cast<std::size_t>(step)]));
    database.run("INSERT INTO schema_steps (step) VALUES (?1)", step + 1);
    transaction.commit();
  }
}

}  // namespace cloister::store
