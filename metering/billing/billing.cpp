#include "metering/billing/billing.h"

#include <mutex>

#include "metering/base/migrations.h"
#include "metering/base/sha256.h"
#include "metering/billing/accounts.h"
#include "metering/billing/closing.h"
#include "metering/billing/invoices.h"
#include "metering/billing/lineages.h"
#include "metering/billing/statements.h"
#include "metering/ledger/migrations.h"

namespace cloister::metering {
namespace {

Error refused(const std::string& reason, const std::string& about) {
  return Error{"billing", reason, about, 0};
}

}  // namespace

class Billing::Database {
 public:
  Database(std::string location, Connection database) : path(std::move(location)), sql(std::move(database)) {}
  const std::string path;
  Connection sql;  // for those that hold()

  // Where the ledger's server was away until now, its tables may not be there yet.
  Result<std::unique_lock<std::mutex>> hold() {
    std::unique_lock lock(mutex_);
    if (!migrated_) {
      if (auto made = migrate(sql, kLedgerMigrations); !made) return made.error();
      migrated_ = true;
    }
    return lock;
  }

  // `other`: null for the book on record.
  Result<Drafted> draft(const TenantNamesById& tenants, const Period& period, const PriceBook* other) {
    Snapshot snapshot(sql);
    if (auto begun = snapshot.begin(); !begun) return begun.error();
    PriceBook own;
    if (other == nullptr) {
      auto book = loadBook(sql);
      if (!book) return book.error();
      own = std::move(book).value();
      other = &own;
    }
    auto drafts = Drafts::open(sql);
    if (!drafts) return drafts.error();
    Drafted drafted;
    for (const auto& [id, name] : tenants) drafted.emplace(id, drafts->make(*other, id, name, period));
    return drafted;
  }

 private:
  std::mutex mutex_;
  bool migrated_ = false;
};

Billing::Billing(std::unique_ptr<Database> database) : database_(std::move(database)) {}
Billing::~Billing() = default;

Result<std::unique_ptr<Billing>> Billing::open(const std::string& path) {
  auto sql = Connection::open(path, "billing");
  if (!sql) return sql.error();
  return std::unique_ptr<Billing>(new Billing(std::make_unique<Database>(path, std::move(sql).value())));
}

Result<PriceBook> Billing::priceBook() {
  const auto held = database_->hold();
  if (!held) return held.error();
  return loadBook(database_->sql);
}

Status Billing::addPriceList(const PriceList& list) {
  const auto held = database_->hold();
  if (!held) return held.error();
  Transaction transaction(database_->sql);
  if (auto begun = transaction.begin(); !begun) return begun;
  if (auto taken = checkList(database_->sql, list); !taken) return taken;
  if (auto put = putList(database_->sql, list); !put) return put;
  return transaction.commit();
}

Status Billing::checkPriceList(const PriceList& list) {
  const auto held = database_->hold();
  if (!held) return held.error();
  return checkList(database_->sql, list);
}

Status Billing::rollUp() {
  const auto held = database_->hold();
  if (!held) return held.error();
  return rollUpAll(database_->sql);
}

Result<Invoice> Billing::draft(const std::string& tenantId, const std::string& tenantName, const Period& period,
                               const PriceBook* book) {
  const auto held = database_->hold();
  if (!held) return held.error();
  if (auto rolled = rollUpAll(database_->sql); !rolled) return rolled.error();
  auto drafted = database_->draft({{tenantId, tenantName}}, period, book);
  if (!drafted) return drafted.error();
  return std::move(drafted->begin()->second);
}

Result<Drafted> Billing::drafts(const TenantNamesById& tenants, const Period& period) {
  const auto held = database_->hold();
  if (!held) return held.error();
  return database_->draft(tenants, period, nullptr);
}

Result<Closing> Billing::close(const Period& period, const TenantNamesById& names, std::int64_t now) {
  const auto held = database_->hold();
  if (!held) return held.error();
  return closeMonth(database_->sql, period, names, now);
}

Result<std::vector<InvoiceSummary>> Billing::invoices(const std::string& tenantId) {
  const auto held = database_->hold();
  if (!held) return held.error();
  return listInvoices(database_->sql, tenantId);
}

Result<std::optional<Invoice>> Billing::invoice(const std::string& id) {
  const auto held = database_->hold();
  if (!held) return held.error();
  return findInvoice(database_->sql, id);
}

Result<RatingInput> Billing::inputOf(const std::string& tenantId, const Period& period, std::uint64_t lastRow) {
  const auto held = database_->hold();
  if (!held) return held.error();
  auto reader = HoursReader::open(database_->sql);
  if (!reader) return reader.error();
  return reader->inputUpTo(tenantId, period, lastRow);
}

Result<std::vector<Charge>> Billing::chargesOf(const Invoice& invoice) {
  const auto book = priceBook();
  if (!book) return book.error();
  const auto input = inputOf(invoice.tenantId, invoice.period, invoice.lastRow);
  if (!input) return input.error();
  return rate(*book, *input);
}

Result<std::vector<MeteredHour>> Billing::hoursOf(const Invoice& invoice) {
  const auto held = database_->hold();
  if (!held) return held.error();
  return meteredHoursOf(database_->sql, invoice);
}

Result<Lineage> Billing::lineageOf(const Invoice& invoice) {
  const auto held = database_->hold();
  if (!held) return held.error();
  return lineageFrom(database_->sql, invoice);
}

Status Billing::statement(const Invoice& invoice, const SigningKey& key, const std::vector<NodeKey>& nodes,
                          const std::function<void(std::string_view)>& sink) {
  auto own = Connection::open(database_->path, "billing", Connection::Mode::readOnly);
  if (!own) return own.error();
  Snapshot snapshot(*own);
  if (auto begun = snapshot.begin(); !begun) return begun;
  return writeStatement(*own, invoice, key, nodes, sink);
}

Result<std::map<std::string, Quantity>> Billing::used(const Period& period, Meter meter) {
  const auto held = database_->hold();
  if (!held) return held.error();
  return usedByTenant(database_->sql, period, meter);
}

Result<std::string> Billing::addCredit(const std::string& tenantId, const std::string& text, Money amount,
                                       std::int64_t now, const std::string& once) {
  if (amount <= 0) return refused("a credit must be above zero", "amount");
  const auto held = database_->hold();
  if (!held) return held.error();
  GivenCredit credit;
  const auto present = listCredits(database_->sql, tenantId);
  if (!present) return present.error();
  const auto name = once.empty() ? std::to_string(present->size()) + '/' + std::to_string(now) : "once/" + once;
  credit.credit.id = "cr-" + sha256Hex(tenantId + '/' + name).substr(0, 16);
  credit.credit.text = text;
  credit.credit.remaining = amount;
  credit.amount = amount;
  credit.createdAt = now;
  if (auto put = putCredit(database_->sql, tenantId, credit); !put) return put.error();
  return credit.credit.id;
}

Result<std::vector<GivenCredit>> Billing::credits(const std::string& tenantId) {
  const auto held = database_->hold();
  if (!held) return held.error();
  return listCredits(database_->sql, tenantId);
}

Result<Revocation> Billing::revokeCredit(const std::string& id, std::int64_t now) {
  const auto held = database_->hold();
  if (!held) return held.error();
  Transaction transaction(database_->sql);
  if (auto begun = transaction.begin(); !begun) return begun.error();
  auto revocation = metering::revokeCredit(database_->sql, id, now);
  if (!revocation) return revocation.error();
  if (auto done = transaction.commit(); !done) return done.error();
  return revocation;
}

Status Billing::setBudget(const Budget& budget) {
  if (budget.amount <= 0) return refused("a budget must be above zero", "amount");
  const auto held = database_->hold();
  if (!held) return held.error();
  return putBudget(database_->sql, budget);
}

Result<bool> Billing::removeBudget(const std::string& tenantId, SetBy by) {
  const auto held = database_->hold();
  if (!held) return held.error();
  return dropBudget(database_->sql, tenantId, by);
}

Result<std::vector<Budget>> Billing::budgets(const std::string& tenantId) {
  const auto held = database_->hold();
  if (!held) return held.error();
  return listBudgets(database_->sql, tenantId);
}

}  // namespace cloister::metering
