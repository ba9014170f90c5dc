// Statements: an invoice and all that it follows from, out of the database into a file (export/statement.h).
//
// Part of Billing; others call that. Threads: the caller holds the connection's mutex. Failures: Error of the
// connection; the file that was begun is then without its seal, and does not verify.
#pragma once

#include <vector>

#include "metering/base/seal.h"
#include "metering/base/sql.h"
#include "metering/export/statement.h"

namespace cloister::metering {

[[nodiscard]] Status writeStatement(Connection& database, const Invoice& invoice, const SigningKey& key,
                                    const std::vector<NodeKey>& nodes, const StatementWriter::Sink& sink);

}  // namespace cloister::metering
