// The schema, as numbered steps that are each applied once, in order, in a transaction of their own.
//
// Threads: as the Database. Failures: StoreError; a database of a newer Cloister is refused with code SQLITE_ERROR.
#pragma once

#include "controlplane/store/sqlite.h"

namespace cloister::store {

void migrate(Database& database);
// The number of the last step that this binary knows, and that of the database.
[[nodiscard]] int latestSchema();
[[nodiscard]] int schemaOf(Database& database);

}  // namespace cloister::store
