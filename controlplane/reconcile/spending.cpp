#include "controlplane/reconcile/spending.h"

#include <spdlog/spdlog.h>

#include <algorithm>
#include <array>
#include <chrono>

namespace cloister::reconcile {
namespace {

using metering::OverTransfer;

constexpr std::int64_t kEventsAtOnce = 500;
constexpr std::array kPercents = {50, 75, 90, 100};
constexpr std::uint64_t kThrottledShare = 10;             // a tenth of the plan's rate
constexpr std::uint64_t kLeastThrottledRate = 1'000'000;  // bits a second
constexpr std::chrono::seconds kPause{1};
constexpr int kWatchEvery = 10;  // pauses

void warn(const char* what, const Error& error) {
  spdlog::warn("billing: {}: {}", what, error.message());
}

}  // namespace

void Spending::deliver(model::Micros now) {
  for (const auto& event : store_.billingEvents().oldest(kEventsAtOnce)) {
    const auto appended = ledger_.append(metering::batchOf(event), now);
    if (!appended) return warn("a life-cycle event waits for the ledger", appended.error());
    if (*appended == metering::Appended::refused) {
      // The same number with other content: the ledger has kept what it had, and says so as an anomaly.
      spdlog::error("billing: the ledger refused life-cycle event {} of tenant {}", event.number, event.tenantId);
    }
    store_.billingEvents().remove(event.number);
  }
}

void Spending::watch(model::Micros now) {
  store_.throttles().dropBefore(now);
  if (const auto rolled = billing_.rollUp(); !rolled) return warn("hours", rolled.error());
  const auto budgets = billing_.budgets();
  if (!budgets) return warn("budgets", budgets.error());
  for (const auto& budget : *budgets) watchBudget(budget, now);
  const auto book = billing_.priceBook();
  if (!book) return warn("price book", book.error());
  const auto list =
      std::find_if(book->begin(), book->end(), [now](const auto& one) { return one.from <= now && now < one.to; });
  if (list == book->end()) return;
  const bool watched = std::any_of(list->plans.begin(), list->plans.end(), [](const auto& terms) {
    return terms.transferBytes != 0 && terms.overTransfer != OverTransfer::charge;
  });
  if (!watched) return;
  for (const auto& tenant : store_.tenants().list({"", 1'000'000})) {
    const auto* terms = list->termsOf(tenant.plan);
    if (terms == nullptr || terms->transferBytes == 0 || terms->overTransfer == OverTransfer::charge) continue;
    watchTransfer(tenant, *terms, now);
  }
}

void Spending::watchBudget(const metering::Budget& budget, model::Micros now) {
  const auto tenant = store_.tenants().find(budget.tenantId);
  if (!tenant) return;
  const auto draft = billing_.draft(tenant->id, tenant->name, metering::monthOf(now));
  if (!draft) return warn("draft for a budget", draft.error());
  for (const int percent : kPercents) {
    if (draft->total < metering::share(budget.amount, percent, 100)) return;
    if (!first(tenant->id, "budget " + std::to_string(percent), now)) continue;
    store_.events().append(tenant->id, "", "budget.reached",
                           std::to_string(percent) + " % of this month's budget of " +
                               metering::moneyText(budget.amount) + ' ' + draft->currency + " is spent");
    if (percent == kPercents.back() && budget.cap == metering::Cap::hard) suspend(*tenant);
  }
}

void Spending::watchTransfer(const model::Tenant& tenant, const metering::PlanTerms& terms, model::Micros now) {
  const auto month = metering::monthOf(now);
  const auto used = billing_.used(tenant.id, month, metering::Meter::networkExternalOut);
  if (!used) return warn("transfer", used.error());
  if (*used < terms.transferBytes || !first(tenant.id, "transfer", now)) return;
  const std::string what =
      "this month's transfer of " + std::to_string(terms.transferBytes / 1'000'000'000) + " GB is used up";
  if (terms.overTransfer == OverTransfer::stop) {
    store_.events().append(tenant.id, "", "transfer.used_up", what + ": workloads stop");
    return suspend(tenant);
  }
  const auto plan = store_.plans().find(tenant.plan);
  if (!plan) return;
  const auto rate = std::max(plan->limits.networkBitsPerSecond / kThrottledShare, kLeastThrottledRate);
  store_.throttles().set(tenant.id, rate, month.to);
  store_.events().append(
      tenant.id, "", "transfer.used_up",
      what + ": the network rate is " + std::to_string(rate) + " bits a second until the month ends");
}

bool Spending::first(const std::string& tenantId, const std::string& kind, model::Micros now) {
  const auto first = billing_.firstAlert(tenantId, metering::monthOf(now), kind, now);
  if (!first) warn("alert", first.error());
  return first && *first;
}

void Spending::suspend(const model::Tenant& tenant) {
  if (tenant.state == model::TenantState::active) (void)deployments_.suspend(tenant.id);
}

SpendingLoop::SpendingLoop(Spending& spending) : spending_(spending), thread_([this] { run(); }) {}

SpendingLoop::~SpendingLoop() {
  {
    const std::scoped_lock lock(mutex_);
    stopping_ = true;
  }
  wake_.notify_all();
  thread_.join();
}

void SpendingLoop::run() {
  std::unique_lock lock(mutex_);
  for (int turn = 0; !stopping_; ++turn) {
    lock.unlock();
    try {
      spending_.deliver(store::now());
      if (turn % kWatchEvery == 0) spending_.watch(store::now());
    } catch (const std::exception& error) {
      spdlog::error("billing: {}", error.what());
    }
    lock.lock();
    wake_.wait_for(lock, kPause, [this] { return stopping_; });
  }
}

}  // namespace cloister::reconcile
