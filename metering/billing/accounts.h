// Accounts: price lists, credits and budgets, as rows.
//
// Part of Billing; others call that. Threads: the caller holds the connection's mutex. Failures: Error of the
// connection, or Error{stage "billing"} for a price list or an invoice on record that cannot be read.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "metering/base/sql.h"
#include "metering/billing/billing.h"

namespace cloister::metering {

[[nodiscard]] Result<PriceBook> loadBook(Connection& database);
[[nodiscard]] Status putList(Connection& database, const PriceList& list);

// One that is there stays as it is.
[[nodiscard]] Status putCredit(Connection& database, const std::string& tenantId, const GivenCredit& credit);
[[nodiscard]] Result<std::vector<GivenCredit>> listCredits(Connection& database, const std::string& tenantId);
// In the caller's transaction.
[[nodiscard]] Result<Revocation> revokeCredit(Connection& database, const std::string& id, std::int64_t now);

[[nodiscard]] Status putBudget(Connection& database, const Budget& budget);
// False: there was none.
[[nodiscard]] Result<bool> dropBudget(Connection& database, const std::string& tenantId, SetBy by);
// Empty: of all.
[[nodiscard]] Result<std::vector<Budget>> listBudgets(Connection& database, const std::string& tenantId);

}  // namespace cloister::metering
