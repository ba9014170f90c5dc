// The ledger's rows one after the other, as they are in a tenant's chain.
//
// Threads: the caller holds the connection's mutex. Failures: Error of the connection; an error that the visitor
// returns ends the walk and is returned.
#pragma once

#include <functional>
#include <string>

#include "metering/base/sql.h"
#include "metering/base/usage.h"
#include "sandbox/base/result.h"

namespace cloister::metering {

struct ChainedRow {
  std::uint64_t number = 0;
  std::string source;
  std::uint64_t sequence = 0;
  std::string bootId;
  UsageRow row;
  std::string hash;  // 32 bytes
};

[[nodiscard]] Status eachRow(Connection& database, const std::string& tenantId, std::uint64_t first, std::uint64_t last,
                             const std::function<Status(const ChainedRow&)>& visit);
// The lowest number of the tenant's rows whose window begins at or after `from`; 0: none.
[[nodiscard]] Result<std::uint64_t> firstRowFrom(Connection& database, const std::string& tenantId, std::int64_t from);

}  // namespace cloister::metering
