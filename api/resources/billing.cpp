#include <Poco/JSON/Array.h>

#include <limits>

#include "api/body.h"
#include "api/problem.h"
#include "api/representation.h"
#include "api/resources/billing_common.h"
#include "api/resources/resources.h"
#include "metering/rating/invoice.h"

namespace cloister::api {
namespace {

using metering::Cap;

constexpr std::size_t kMostText = 200;
constexpr std::size_t kDecimals = 6;  // of an amount

// A list's JSON is the resource as it is.
Json show(const metering::PriceList& list) {
  return parsed(metering::toJson(list));
}

metering::PriceList listIn(const Services& services, const Request& request) {
  auto list = metering::priceListFromJson(request.body);
  if (!list) throw invalidField(list.error().path, list.error().operation);
  for (const auto& terms : list->plans) {
    if (!services.store.plans().find(terms.plan))
      throw unacceptable("plan_unknown", "plans", "no plan \"" + terms.plan + "\"");
  }
  return std::move(list).value();
}

void mustBeTaken(const Status& taken) {
  if (taken) return;
  if (taken.error().stage == "price list")
    throw unacceptable("price_list_conflict", taken.error().path, taken.error().operation);
  throw LedgerFailure(taken.error());
}

Answer createPrices(const Services& services, const Request& request) {
  const auto list = listIn(services, request);
  mustBeTaken(services.billing.addPriceList(list));
  return answerWith(show(list), 201);
}

Answer checkPrices(const Services& services, const Request& request) {
  const auto list = listIn(services, request);
  mustBeTaken(services.billing.checkPriceList(list));
  auto out = show(list);
  Poco::JSON::Array warnings;
  for (const auto& warning : metering::countedTwice(list)) warnings.add(warning);
  out->set("warnings", warnings);
  return answerWith(out);
}

Answer showPrices(const Services& services, const Request& request) {
  const auto& name = request.parameter("name");
  for (const auto& list : good(services.billing.priceBook())) {
    if (list.name == name) return answerWith(show(list));
  }
  throw notFound("the price list \"" + name + "\"");
}

Json show(const metering::InvoiceSummary& summary, TenantNames& names) {
  auto out = newObject();
  out->set("id", summary.id);
  out->set("tenant", names.of(summary.tenantId));
  out->set("from", formatTime(summary.period.from));
  out->set("to", formatTime(summary.period.to));
  out->set("total", metering::moneyText(summary.total));
  out->set("currency", summary.currency);
  out->set("closed_at", formatTime(summary.closedAt));
  return out;
}

Answer listInvoices(const Services& services, const Request& request) {
  const auto all = good(services.billing.invoices(request.tenant ? request.tenant->id : ""));
  TenantNames names(services.store);
  std::vector<Json> items;
  for (const auto& one : all) items.push_back(show(one, names));
  return answerList(items);
}

// The month as it would be with the price list in the body in place of the book.
Answer dryRun(const Services& services, const Request& request) {
  const auto period = monthIn(request);
  const auto list = metering::priceListFromJson(request.body);
  if (!list) throw invalidField(list.error().path, list.error().operation);
  metering::PriceBook other = {*list};
  if (metering::firstGap(other, period) != period.to)
    throw unacceptable("price_list_gap", "from", "does not cover " + metering::monthText(period));
  return answerWith(parsed(
      metering::toJson(rated(services.billing.draft(request.tenant->id, request.tenant->name, period, &other)))));
}

Answer close(const Services& services, const Request& request) {
  const auto period = monthIn(request);
  metering::TenantNamesById names;
  for (const auto& tenant : services.store.tenants().list({"", 1'000'000})) names[tenant.id] = tenant.name;
  const auto now = store::now();
  if (now < period.to) throw unacceptable("period_open", "period", "the month is not over");
  const auto closing = rated(services.billing.close(period, names, now));
  auto out = newObject();
  out->set("period", metering::monthText(period));
  out->set("closed", closing.closed);
  out->set("present", closing.present);
  return answerWith(out);
}

// An amount above zero, or what is wrong with it: a comma or a seventh digit is not seen in a rule.
metering::Money amountIn(const std::string& text) {
  if (const auto amount = metering::parseMoney(text); amount && *amount > 0) return *amount;
  const auto point = text.find('.');
  const auto isNumber = [](std::string_view digits) {
    return !digits.empty() && digits.find_first_not_of("0123456789") == std::string_view::npos;
  };
  const bool plain = isNumber(std::string_view(text).substr(0, point)) &&
                     (point == std::string::npos || isNumber(std::string_view(text).substr(point + 1)));
  if (text.starts_with('-') || metering::parseMoney(text)) throw invalidField("amount", "must be above zero");
  if (text.find(',') != std::string::npos)
    throw invalidField("amount",
                       "has a comma: its decimals stand behind a point, as in \"50.25\", and nothing else does");
  if (!plain) throw invalidField("amount", "must be a decimal above zero, as text, such as \"50.25\"");
  if (point != std::string::npos && text.size() - point - 1 > kDecimals)
    throw invalidField("amount", "may have six digits behind the point at most");
  throw invalidField("amount",
                     "may be " + metering::moneyText(std::numeric_limits<metering::Money>::max()) + " at most");
}

Answer createCredit(const Services& services, const Request& request) {
  Body body(request.body);
  const auto given = body.text("amount");
  const auto text = body.text("text");
  body.finish();
  const auto amount = amountIn(given);
  if (text.empty() || text.size() > kMostText) throw invalidField("text", "must have 1 to 200 bytes");
  const auto key = request.header("Idempotency-Key");
  const std::string once = key.empty() ? "" : request.caller->id + '/' + key;
  const auto id = good(services.billing.addCredit(request.tenant->id, text, amount, store::now(), once));
  auto out = newObject();
  out->set("id", id);
  out->set("text", text);
  out->set("amount", metering::moneyText(amount));
  out->set("remaining", metering::moneyText(amount));
  return answerWith(out, 201);
}

Answer listCredits(const Services& services, const Request& request) {
  std::vector<Json> items;
  for (const auto& one : good(services.billing.credits(request.tenant->id))) {
    auto out = newObject();
    out->set("id", one.credit.id);
    out->set("text", one.credit.text);
    out->set("amount", metering::moneyText(one.amount));
    out->set("remaining", metering::moneyText(one.credit.remaining));
    out->set("created_at", formatTime(one.createdAt));
    if (one.revokedAt != 0) out->set("revoked_at", formatTime(one.revokedAt));
    items.push_back(out);
  }
  return answerList(items);
}

Answer revokeCredit(const Services& services, const Request& request) {
  const auto& id = request.parameter("id");
  const auto revocation = good(services.billing.revokeCredit(id, store::now()));
  if (revocation.outcome == metering::Revocation::Outcome::unknown) throw notFound("the credit \"" + id + "\"");
  if (revocation.outcome == metering::Revocation::Outcome::used)
    throw Problem(409, "credit_used", "the invoice " + revocation.invoice + " was lowered by it", "id");
  return Answer{204, "", {}};
}

metering::SetBy sideOf(const Request& request) {
  return request.caller->scope == model::Scope::tenant ? metering::SetBy::tenant : metering::SetBy::provider;
}

Json show(const metering::Budget& budget, const Result<metering::Invoice>& spent) {
  auto out = newObject();
  out->set("set_by", std::string(metering::setByName(budget.by)));
  out->set("amount", metering::moneyText(budget.amount));
  out->set("cap", std::string(budget.cap == Cap::hard ? "hard" : "soft"));
  if (spent) {
    out->set("spent", metering::moneyText(spent->total));
    out->set("currency", spent->currency);
  } else {
    out->set("failure", represent(ratingFailure(spent.error())));
  }
  return out;
}

Result<metering::Invoice> spentBy(const Services& services, const model::Tenant& tenant) {
  return services.billing.draft(tenant.id, tenant.name, metering::monthOf(store::now()));
}

Answer listBudgets(const Services& services, const Request& request) {
  const auto budgets = good(services.billing.budgets(request.tenant->id));
  if (budgets.empty()) return answerList({});
  const auto spent = spentBy(services, *request.tenant);
  std::vector<Json> items;
  for (const auto& one : budgets) items.push_back(show(one, spent));
  return answerList(items);
}

Answer putBudget(const Services& services, const Request& request) {
  Body body(request.body);
  const auto given = body.text("amount");
  const auto cap = body.optionalText("cap").value_or("soft");
  body.finish();
  const auto amount = amountIn(given);
  if (cap != "soft" && cap != "hard") throw invalidField("cap", "must be soft or hard");
  const metering::Budget budget{request.tenant->id, sideOf(request), amount, cap == "hard" ? Cap::hard : Cap::soft,
                                store::now()};
  good(services.billing.setBudget(budget));
  return answerWith(show(budget, spentBy(services, *request.tenant)));
}

Answer dropBudget(const Services& services, const Request& request) {
  const auto side = sideOf(request);
  if (!good(services.billing.removeBudget(request.tenant->id, side)))
    throw notFound(std::string("a budget that the ") + metering::setByName(side) + " has set");
  return Answer{204, "", {}};
}

}  // namespace

void addBilling(Router& router, const Services& services) {
  router.add("GET", "/v1/prices", Access::any, [services](Request&) {
    std::vector<Json> items;
    for (const auto& list : good(services.billing.priceBook())) items.push_back(show(list));
    return answerList(items);
  });
  router.add("POST", "/v1/prices", Access::provider, Payload::ledger,
             [services](Request& request) { return createPrices(services, request); });
  router.add("POST", "/v1/prices/check", Access::provider, Payload::ledger,
             [services](Request& request) { return checkPrices(services, request); });
  router.add("GET", "/v1/prices/{name}", Access::any,
             [services](Request& request) { return showPrices(services, request); });
  router.add("GET", "/v1/invoices", Access::any,
             [services](Request& request) { return listInvoices(services, request); });
  router.add("POST", "/v1/periods/{period}/rating", Access::tenant, Payload::ledger,
             [services](Request& request) { return dryRun(services, request); });
  // Repeating it changes nothing, and it may take minutes: no key is held for it.
  router.add("POST", "/v1/periods/{period}/close", Access::provider, Payload::stream,
             [services](Request& request) { return close(services, request); });
  router.add("GET", "/v1/credits", Access::tenant,
             [services](Request& request) { return listCredits(services, request); });
  router.add("POST", "/v1/credits", Access::provider, Payload::ledger, [services](Request& request) {
    request.tenant = services.store.tenants().get(request.query("tenant").value_or(""));
    return createCredit(services, request);
  });
  router.add("DELETE", "/v1/credits/{id}", Access::provider, Payload::ledger,
             [services](Request& request) { return revokeCredit(services, request); });
  router.add("GET", "/v1/budget", Access::tenant,
             [services](Request& request) { return listBudgets(services, request); });
  router.add("PUT", "/v1/budget", Access::tenant, Payload::ledger,
             [services](Request& request) { return putBudget(services, request); });
  router.add("DELETE", "/v1/budget", Access::tenant, Payload::ledger,
             [services](Request& request) { return dropBudget(services, request); });
  addBillingExports(router, services);
  addLedger(router, services);
}

}  // namespace cloister::api
