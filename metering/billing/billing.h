// Billing: the price book, the hourly sums, invoices, credits and budgets, in the ledger's database.
//
//   rows ── rollUp() ──► hours ── rate.h ──► draft() ── close() ──► invoices
//
// rollUp() adds each row of a chain to its hour once, up to the chain's end; it can run at any time and is cheap to
// repeat. A draft is made anew each time; a closed invoice never changes. What comes for a closed month is a correction
// on the tenant's next invoice. close() may be repeated; closing.h says what a closed month is.
//
// A PostgreSQL server that is away hinders no start: open() asks it nothing, and the first call that reaches it sees to
// it that the tables are there, also before the ledger does.
//
// Threads: any; a mutex serialises, and close() holds it. Appends to the ledger go on meanwhile but for the moments in
// which chunks are written. Failures: Error{stage "billing" (or that of price_list.h, rate.h, invoice.h), operation,
// path, code as sql.h gives it}, and those of closing.h; a failed call has changed nothing, a failed close() has closed
// whole tenants or none.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "metering/base/seal.h"
#include "metering/base/signing.h"
#include "metering/export/lineage.h"
#include "metering/rating/invoice.h"
#include "sandbox/base/result.h"

namespace cloister::metering {

struct InvoiceSummary {
  std::string id;
  std::string tenantId;
  Period period;
  std::string currency;
  Money total = 0;
  std::int64_t closedAt = 0;
};

struct GivenCredit {
  Credit credit;
  Money amount = 0;
  std::int64_t createdAt = 0;
  std::int64_t revokedAt = 0;  // 0: it was not
};

struct Revocation {
  enum class Outcome { revoked, used, unknown } outcome = Outcome::unknown;
  std::string invoice;  // used: the first one that was lowered by it
};

// What happens when a month's cost reaches the budget: soft tells, hard suspends the tenant.
enum class Cap { soft, hard };
// A tenant has two budgets at most: its provider's, and its own.
enum class SetBy { provider, tenant };
[[nodiscard]] const char* setByName(SetBy);  // "provider", "tenant"
struct Budget {
  std::string tenantId;
  SetBy by = SetBy::provider;
  Money amount = 0;
  Cap cap = Cap::soft;
  std::int64_t since = 0;  // when it was set: what was told of the one before counts no more
};

struct Closing {
  std::size_t closed = 0;
  std::size_t present = 0;  // were closed before
};

// Names by tenant id, for invoices: those that exist now. A tenant that is gone has its id as its name.
using TenantNamesById = std::map<std::string, std::string>;

// Invoices by tenant id; each its own success or failure.
using Drafted = std::map<std::string, Result<Invoice>>;

class Billing {
 public:
  // `path`: the ledger's database, which a Ledger has opened.
  [[nodiscard]] static Result<std::unique_ptr<Billing>> open(const std::string& path);
  ~Billing();
  Billing(const Billing&) = delete;
  Billing& operator=(const Billing&) = delete;

  [[nodiscard]] Result<PriceBook> priceBook();
  // From when the last closed month ended, or later.
  [[nodiscard]] Status addPriceList(const PriceList& list);
  // Whether the book would take it; adds nothing.
  [[nodiscard]] Status checkPriceList(const PriceList& list);

  [[nodiscard]] Status rollUp();
  // Rolls up, then rates the month as it stands. `book`: another one, for a dry run.
  [[nodiscard]] Result<Invoice> draft(const std::string& tenantId, const std::string& tenantName, const Period& period,
                                      const PriceBook* book = nullptr);
  // Of several, from one state of the database, as far as it is rolled up.
  [[nodiscard]] Result<Drafted> drafts(const TenantNamesById& tenants, const Period& period);
  // All tenants that have a plan, usage or something late; the month must be over by `now`, and the one before it
  // closed unless nothing was used in it.
  [[nodiscard]] Result<Closing> close(const Period& period, const TenantNamesById& names, std::int64_t now);
  // Empty tenant: of all. Newest month first.
  [[nodiscard]] Result<std::vector<InvoiceSummary>> invoices(const std::string& tenantId);
  [[nodiscard]] Result<std::optional<Invoice>> invoice(const std::string& id);

  // The hours of a month from the rows themselves, up to row `lastRow`: what a closed invoice was made from.
  [[nodiscard]] Result<RatingInput> inputOf(const std::string& tenantId, const Period& period, std::uint64_t lastRow);
  // The charges that a closed invoice's (or an untouched draft's) lines were summed from.
  [[nodiscard]] Result<std::vector<Charge>> chargesOf(const Invoice& invoice);
  // What the events of an invoice (or an untouched draft) are made from: the hours of its month, and those of closed
  // months that got rows since the invoice before it, as the ledger had them at its last row.
  [[nodiscard]] Result<std::vector<MeteredHour>> hoursOf(const Invoice& invoice);
  // The rows that its charges and lines rest on.
  [[nodiscard]] Result<Lineage> lineageOf(const Invoice& invoice);
  // Writes the statement of an invoice or a draft; on a connection of its own, so that nothing waits for a long file.
  // `nodes`: all keys that hosts ever had; the file has those that seals in it are of.
  [[nodiscard]] Status statement(const Invoice& invoice, const SigningKey& key, const std::vector<NodeKey>& nodes,
                                 const std::function<void(std::string_view)>& sink);
  // What each tenant has used of a meter in a month, as far as it is rolled up.
  [[nodiscard]] Result<std::map<std::string, Quantity>> used(const Period& period, Meter meter);

  // `once` names the request that asks for it, so that it is given once however often that comes; empty: each is new.
  [[nodiscard]] Result<std::string> addCredit(const std::string& tenantId, const std::string& text, Money amount,
                                              std::int64_t now, const std::string& once = "");
  [[nodiscard]] Result<std::vector<GivenCredit>> credits(const std::string& tenantId);
  // One that no invoice was lowered by: it stays on record with nothing left. Repeating it changes nothing.
  [[nodiscard]] Result<Revocation> revokeCredit(const std::string& id, std::int64_t now);

  // In place of the one that the same side had set; the other's stays as it is.
  [[nodiscard]] Status setBudget(const Budget& budget);
  // False: there was none.
  [[nodiscard]] Result<bool> removeBudget(const std::string& tenantId, SetBy by);
  // Empty tenant: of all. The provider's first.
  [[nodiscard]] Result<std::vector<Budget>> budgets(const std::string& tenantId);

 private:
  class Database;
  explicit Billing(std::unique_ptr<Database> database);
  std::unique_ptr<Database> database_;
};

}  // namespace cloister::metering
