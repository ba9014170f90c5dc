#include "metering/billing/accounts.h"

namespace cloister::metering {
namespace {

constexpr std::string_view kHard = "hard";
constexpr std::string_view kSoft = "soft";

}  // namespace

Result<PriceBook> loadBook(Connection& database) {
  auto query = database.prepare("SELECT name, body FROM price_lists ORDER BY valid_from");
  if (!query) return query.error();
  PriceBook book;
  Statement::Step step{};
  while ((step = query->step()) == Statement::Step::row) {
    const std::string name(query->bytes(0));
    auto list = priceListFromJson(std::string(query->bytes(1)));
    if (!list) return Error{"billing", "a price list on record cannot be read: " + list.error().message(), name, 0};
    if (auto added = addTo(book, *list); !added) return added.error();
  }
  if (step == Statement::Step::failed) return database.error();
  return book;
}

// Lists are kept as they were given: where an open one ends follows from the next.
Status putList(Connection& database, const PriceList& list) {
  auto put = database.prepare("INSERT INTO price_lists VALUES(?1, ?2, ?3)");
  if (!put) return put.error();
  const auto body = toJson(list);
  if (!put->bind(1, std::string_view(list.name)).bind(2, list.from).bind(3, body).run()) return database.error();
  return {};
}

Status putCredit(Connection& database, const std::string& tenantId, const GivenCredit& credit) {
  auto put = database.prepare("INSERT INTO credits VALUES(?1, ?2, ?3, ?4, ?5, ?6) ON CONFLICT(id) DO NOTHING");
  if (!put) return put.error();
  put->bind(1, std::string_view(credit.credit.id)).bind(2, std::string_view(tenantId));
  put->bind(3, std::string_view(credit.credit.text)).bind(4, credit.amount).bind(5, credit.credit.remaining);
  if (!put->bind(6, credit.createdAt).run()) return database.error();
  return {};
}

Result<std::vector<GivenCredit>> listCredits(Connection& database, const std::string& tenantId) {
  auto query = database.prepare(
      "SELECT id, text, remaining, amount, created_at FROM credits WHERE tenant = ?1 ORDER BY created_at, id");
  if (!query) return query.error();
  query->bind(1, std::string_view(tenantId));
  std::vector<GivenCredit> all;
  Statement::Step step{};
  while ((step = query->step()) == Statement::Step::row) {
    GivenCredit one;
    one.credit = {std::string(query->bytes(0)), std::string(query->bytes(1)), query->integer(2)};
    one.amount = query->integer(3);
    one.createdAt = query->integer(4);
    all.push_back(std::move(one));
  }
  if (step == Statement::Step::failed) return database.error();
  return all;
}

Status putBudget(Connection& database, const Budget& budget) {
  if (budget.amount == 0) {
    auto drop = database.prepare("DELETE FROM budgets WHERE tenant = ?1");
    if (!drop) return drop.error();
    if (!drop->bind(1, std::string_view(budget.tenantId)).run()) return database.error();
    return {};
  }
  auto put = database.prepare(
      "INSERT INTO budgets(tenant, amount, cap, since) VALUES(?1, ?2, ?3, ?4) ON CONFLICT(tenant) DO UPDATE SET"
      " amount = excluded.amount, cap = excluded.cap, since = excluded.since");
  if (!put) return put.error();
  put->bind(1, std::string_view(budget.tenantId)).bind(2, budget.amount).bind(4, budget.since);
  if (!put->bind(3, budget.cap == Cap::hard ? kHard : kSoft).run()) return database.error();
  return {};
}

Result<std::vector<Budget>> listBudgets(Connection& database, const std::string& tenantId) {
  const bool ofAll = tenantId.empty();
  auto query = database.prepare("SELECT tenant, amount, cap, since FROM budgets" +
                                std::string(ofAll ? "" : " WHERE tenant = ?1") + " ORDER BY tenant");
  if (!query) return query.error();
  if (!ofAll) query->bind(1, std::string_view(tenantId));
  std::vector<Budget> all;
  Statement::Step step{};
  while ((step = query->step()) == Statement::Step::row)
    all.push_back({std::string(query->bytes(0)), query->integer(1), query->bytes(2) == kHard ? Cap::hard : Cap::soft,
                   query->integer(3)});
  if (step == Statement::Step::failed) return database.error();
  return all;
}

}  // namespace cloister::metering
