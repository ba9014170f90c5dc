#include "controlplane/reconcile/spending.h"

#include <spdlog/spdlog.h>

#include <algorithm>
#include <array>
#include <map>
#include <string>
#include <utility>

namespace cloister::reconcile {
namespace {

using metering::OverTransfer;

constexpr std::int64_t kBatchesAtOnce = 500;
constexpr std::array kPercents = {50, 75, 90, 100};
constexpr std::uint64_t kThrottledShare = 10;             // a tenth of the plan's rate
constexpr std::uint64_t kLeastThrottledRate = 1'000'000;  // bits a second
constexpr unsigned kWatchEvery = 10;                      // steps

void warn(const char* what, const Error& error) {
  spdlog::warn("billing: {}: {}", what, error.message());
}

}  // namespace

void Spending::step(model::Micros now) {
  const auto before = std::exchange(failure_, "");
  // Also while nothing is to be delivered: /metrics waits for what a ledger whose server was away has on record.
  if (const auto ready = ledger_.ready(); !ready) failed("the ledger is not open", ready.error());
  accountImages(now);
  if (failure_.empty()) deliver(now);
  // What failed is tried again at once, so that its end is known.
  if (failure_.empty() && (turn_++ % kWatchEvery == 0 || !before.empty())) watch(now);
  if (failure_ == before) return;
  if (failure_.empty()) {
    spdlog::info("billing: the ledger answers again");
  } else {
    spdlog::warn("billing: {}", failure_);
  }
}

void Spending::failed(const char* what, const Error& error) {
  failure_ = std::string(what) + ": " + error.message();
}

void Spending::accountImages(model::Micros now) {
  const auto hour = metering::hourOf(now);
  if (hour == accountedHour_) return;
  store_.images().accountAll(hour);
  accountedHour_ = hour;
}

void Spending::deliver(model::Micros now) {
  for (const auto& batch : store_.ledgerOutbox().oldest(kBatchesAtOnce)) {
    const auto appended = ledger_.append(batch, now);
    if (!appended) return failed("a batch of the control plane waits for the ledger", appended.error());
    if (*appended == metering::Appended::refused) {
      // The same number with other content: the ledger has kept what it had, and says so as an anomaly.
      spdlog::error("billing: the ledger refused batch {} of the control plane, about tenant {}", batch.sequence,
                    batch.rows.front().tenantId);
    }
    store_.ledgerOutbox().remove(batch.sequence);
  }
}

void Spending::watch(model::Micros now) {
  store_.throttles().dropBefore(now);
  if (const auto rolled = billing_.rollUp(); !rolled) return failed("hours", rolled.error());
  watchBudgets(now);
  watchTransfers(now);
}

void Spending::watchTransfers(model::Micros now) {
  const auto book = billing_.priceBook();
  if (!book) return failed("price book", book.error());
  const auto list =
      std::find_if(book->begin(), book->end(), [now](const auto& one) { return one.from <= now && now < one.to; });
  if (list == book->end()) return;
  const bool watched = std::any_of(list->plans.begin(), list->plans.end(), [](const auto& terms) {
    return terms.transferBytes != 0 && terms.overTransfer != OverTransfer::charge;
  });
  if (!watched) return;
  const auto used = billing_.used(metering::monthOf(now), metering::Meter::networkExternalOut);
  if (!used) return failed("transfer", used.error());
  for (const auto& tenant : store_.tenants().list({"", 1'000'000})) {
    const auto* terms = list->termsOf(tenant.plan);
    if (terms == nullptr || terms->transferBytes == 0 || terms->overTransfer == OverTransfer::charge) continue;
    const auto bytes = used->find(tenant.id);
    if (bytes != used->end() && bytes->second >= terms->transferBytes) endTransfer(tenant, *terms, now);
  }
}

void Spending::watchBudgets(model::Micros now) {
  const auto budgets = billing_.budgets("");
  if (!budgets) return failed("budgets", budgets.error());
  std::map<std::string, model::Tenant> tenants;
  metering::TenantNamesById names;
  for (const auto& budget : *budgets) {
    auto tenant = store_.tenants().find(budget.tenantId);
    if (!tenant) continue;
    names[tenant->id] = tenant->name;
    tenants.emplace(tenant->id, std::move(*tenant));
  }
  const auto drafts = billing_.drafts(names, metering::monthOf(now));
  if (!drafts) return failed("drafts for budgets", drafts.error());
  for (const auto& budget : *budgets) {
    const auto draft = drafts->find(budget.tenantId);
    if (draft == drafts->end()) continue;
    if (!draft->second) {
      warn("draft for a budget", draft->second.error());
    } else {
      compare(budget, tenants.at(budget.tenantId), *draft->second, now);
    }
  }
}

void Spending::compare(const metering::Budget& budget, const model::Tenant& tenant, const metering::Invoice& draft,
                       model::Micros now) {
  const std::string key =
      std::string(" of ") + metering::setByName(budget.by) + " since " + std::to_string(budget.since);
  const std::string whose =
      budget.by == metering::SetBy::provider ? "the provider's budget" : "the tenant's own budget";
  for (const int percent : kPercents) {
    if (draft.total < metering::share(budget.amount, percent, 100)) return;
    once(tenant.id, "budget " + std::to_string(percent) + key, now, [&] {
      store_.events().append(tenant.id, "", "budget.reached",
                             std::to_string(percent) + " % of " + whose + " of " + metering::moneyText(budget.amount) +
                                 ' ' + draft.currency + " a month is spent");
      if (percent == kPercents.back() && budget.cap == metering::Cap::hard) suspend(tenant.id);
    });
  }
}

void Spending::endTransfer(const model::Tenant& tenant, const metering::PlanTerms& terms, model::Micros now) {
  const auto plan = store_.plans().find(tenant.plan);
  if (!plan) return;
  once(tenant.id, "transfer", now, [&] {
    const std::string what =
        "this month's transfer of " + std::to_string(terms.transferBytes / 1'000'000'000) + " GB is used up";
    if (terms.overTransfer == OverTransfer::stop) {
      store_.events().append(tenant.id, "", "transfer.used_up", what + ": workloads stop");
      return suspend(tenant.id);
    }
    const auto rate = std::max(plan->limits.networkBitsPerSecond / kThrottledShare, kLeastThrottledRate);
    store_.throttles().set(tenant.id, rate, metering::monthOf(now).to);
    store_.events().append(
        tenant.id, "", "transfer.used_up",
        what + ": the network rate is " + std::to_string(rate) + " bits a second until the month ends");
  });
}

void Spending::once(const std::string& tenantId, const std::string& kind, model::Micros now,
                    const std::function<void()>& act) {
  store_.transact([&] {
    if (store_.alerts().first(tenantId, metering::monthOf(now).from, kind)) act();
  });
}

void Spending::suspend(const std::string& tenantId) {
  // As it is now: what the watch began with may be of some seconds ago.
  if (store_.tenants().get(tenantId).state == model::TenantState::active) (void)deployments_.suspend(tenantId);
}

}  // namespace cloister::reconcile
