// The words of sql.h's statements as one database says them.
//
// Threads: pure functions. Failures: what is no form of sql.h is left as it stands, and the database refuses it.
#pragma once

#include <string>
#include <string_view>

#include "metering/base/sql.h"

namespace cloister::metering::sql {

// Replaces the {...} forms. Text in quotes and comments is not looked at.
[[nodiscard]] std::string inDialect(std::string_view text, Connection::Kind kind);
// ?1 as $1, and the n-th bare ? as $n.
[[nodiscard]] std::string numbered(std::string_view text);

}  // namespace cloister::metering::sql
