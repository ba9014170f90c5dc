// The schema, as numbered steps that are each applied once, in order, in a transaction of their own.
//
// Threads: as the Database. Failures: StoreError; a database of a newer Cloister is refused with code SQLITE_ERROR.
#pragma once

#include "controlplane/store/sqlite.h"

namespace cloister::store {

// The number of the last step that this binary knows, and that of the database.
[[nodiscard]] int latestSchema();
[[nodiscard]] int schemaOf(Database& database);
// Up to the step `last`; to an earlier one only in tests of what an older Cloister left.
void migrate(Database& database, int last = latestSchema());

}  // namespace cloister::store
