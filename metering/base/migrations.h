// Migrations: the tables of a database as a list of numbered steps, one text for both databases (the forms of sql.h).
//
// A database records the number of its last step as its format; migrate() runs those after it, each in a transaction of
// its own, so that a process that ends in between leaves a whole step. A step that was published never changes. Two
// processes may migrate at once: one waits, and finds nothing left to do.
// Threads: as the connection. Failures: the connection's Error; Error{operation "format N is newer than this program"}
// when the database has more steps than the list.
#pragma once

#include <span>

#include "metering/base/sql.h"

namespace cloister::metering {

// Step 1 is the first.
[[nodiscard]] Status migrate(Connection& database, std::span<const char* const> steps);

}  // namespace cloister::metering
