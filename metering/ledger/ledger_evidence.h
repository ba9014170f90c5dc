// What the ledger shows of itself: the ends of its chains, the gaps among its rows, and the batches that it refused, by
// SQL on a reader's connection. Part of Ledger; others call heads(), gaps() and anomalies() there.
//
// Threads: the caller holds the connection's mutex. Failures: Error of the connection; EBADMSG for a head that does not
// decode.
#pragma once

#include <vector>

#include "metering/base/sql.h"
#include "metering/ledger/ledger.h"

namespace cloister::metering {

[[nodiscard]] Result<ChainEnd> readEnd(Connection& database, const std::string& tenantId);
[[nodiscard]] Result<std::vector<ChainEnd>> listEnds(Connection& database, std::int64_t after, std::size_t limit);
[[nodiscard]] Result<std::vector<GapRow>> listGaps(Connection& database, const GapQuery& query);
[[nodiscard]] Result<std::vector<Anomaly>> listAnomalies(Connection& database, std::size_t limit, std::int64_t before);

}  // namespace cloister::metering
