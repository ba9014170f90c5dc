#include "metering/billing/accounts.h"

#include <algorithm>

#include "metering/billing/invoices.h"

namespace cloister::metering {
namespace {

constexpr std::string_view kHard = "hard";
constexpr std::string_view kSoft = "soft";

// The first of them.
Result<std::string> invoiceLoweredBy(Connection& database, const std::string& tenantId, const std::string& credit) {
  auto invoices = listInvoices(database, tenantId);
  if (!invoices) return invoices.error();
  std::reverse(invoices->begin(), invoices->end());
  for (const auto& one : *invoices) {
    const auto invoice = findInvoice(database, one.id);
    if (!invoice) return invoice.error();
    if (!*invoice) continue;
    for (const auto& line : (*invoice)->lines) {
      if (line.kind == ChargeKind::credit && line.sku == credit) return one.id;
    }
  }
  return Error{"billing", "no invoice on record has the credit that was taken", credit, 0};
}

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
  auto put = database.prepare(
      "INSERT INTO credits(id, tenant, text, amount, remaining, created_at) VALUES(?1, ?2, ?3, ?4, ?5, ?6)"
      " ON CONFLICT(id) DO NOTHING");
  if (!put) return put.error();
  put->bind(1, std::string_view(credit.credit.id)).bind(2, std::string_view(tenantId));
  put->bind(3, std::string_view(credit.credit.text)).bind(4, credit.amount).bind(5, credit.credit.remaining);
  if (!put->bind(6, credit.createdAt).run()) return database.error();
  return {};
}

Result<std::vector<GivenCredit>> listCredits(Connection& database, const std::string& tenantId) {
  auto query = database.prepare(
      "SELECT id, text, remaining, amount, created_at, revoked_at FROM credits WHERE tenant = ?1 ORDER BY created_at, "
      "id");
  if (!query) return query.error();
  query->bind(1, std::string_view(tenantId));
  std::vector<GivenCredit> all;
  Statement::Step step{};
  while ((step = query->step()) == Statement::Step::row) {
    GivenCredit one;
    one.credit = {std::string(query->bytes(0)), std::string(query->bytes(1)), query->integer(2)};
    one.amount = query->integer(3);
    one.createdAt = query->integer(4);
    one.revokedAt = query->integer(5);
    all.push_back(std::move(one));
  }
  if (step == Statement::Step::failed) return database.error();
  return all;
}

Result<Revocation> revokeCredit(Connection& database, const std::string& id, std::int64_t now) {
  auto find = database.prepare("SELECT tenant, amount, remaining, revoked_at FROM credits WHERE id = ?1");
  if (!find) return find.error();
  const auto step = find->bind(1, std::string_view(id)).step();
  if (step == Statement::Step::failed) return database.error();
  if (step == Statement::Step::done) return Revocation{Revocation::Outcome::unknown, ""};
  const std::string tenant(find->bytes(0));
  const bool whole = find->integer(1) == find->integer(2);
  const bool revoked = find->integer(3) != 0;
  find->reset();
  if (revoked) return Revocation{Revocation::Outcome::revoked, ""};
  if (!whole) {
    auto invoice = invoiceLoweredBy(database, tenant, id);
    if (!invoice) return invoice.error();
    return Revocation{Revocation::Outcome::used, std::move(invoice).value()};
  }
  auto revoke = database.prepare("UPDATE credits SET remaining = 0, revoked_at = ?2 WHERE id = ?1");
  if (!revoke) return revoke.error();
  if (!revoke->bind(1, std::string_view(id)).bind(2, now).run()) return database.error();
  return Revocation{Revocation::Outcome::revoked, ""};
}

const char* setByName(SetBy by) {
  return by == SetBy::provider ? "provider" : "tenant";
}

Status putBudget(Connection& database, const Budget& budget) {
  auto put = database.prepare(
      "INSERT INTO budgets(tenant, set_by, amount, cap, since) VALUES(?1, ?2, ?3, ?4, ?5)"
      " ON CONFLICT(tenant, set_by) DO UPDATE SET amount = excluded.amount, cap = excluded.cap,"
      " since = excluded.since");
  if (!put) return put.error();
  put->bind(1, std::string_view(budget.tenantId)).bind(2, std::string_view(setByName(budget.by)));
  put->bind(3, budget.amount).bind(4, budget.cap == Cap::hard ? kHard : kSoft).bind(5, budget.since);
  if (!put->run()) return database.error();
  return {};
}

Result<bool> dropBudget(Connection& database, const std::string& tenantId, SetBy by) {
  auto drop = database.prepare("DELETE FROM budgets WHERE tenant = ?1 AND set_by = ?2 RETURNING tenant");
  if (!drop) return drop.error();
  const auto step = drop->bind(1, std::string_view(tenantId)).bind(2, std::string_view(setByName(by))).step();
  if (step == Statement::Step::failed) return database.error();
  return step == Statement::Step::row;
}

Result<std::vector<Budget>> listBudgets(Connection& database, const std::string& tenantId) {
  const bool ofAll = tenantId.empty();
  auto query = database.prepare("SELECT tenant, set_by, amount, cap, since FROM budgets" +
                                std::string(ofAll ? "" : " WHERE tenant = ?1") + " ORDER BY tenant, set_by");
  if (!query) return query.error();
  if (!ofAll) query->bind(1, std::string_view(tenantId));
  std::vector<Budget> all;
  Statement::Step step{};
  while ((step = query->step()) == Statement::Step::row) {
    Budget one;
    one.tenantId = query->bytes(0);
    one.by = query->bytes(1) == setByName(SetBy::provider) ? SetBy::provider : SetBy::tenant;
    one.amount = query->integer(2);
    one.cap = query->bytes(3) == kHard ? Cap::hard : Cap::soft;
    one.since = query->integer(4);
    all.push_back(std::move(one));
  }
  if (step == Statement::Step::failed) return database.error();
  return all;
}

}  // namespace cloister::metering
