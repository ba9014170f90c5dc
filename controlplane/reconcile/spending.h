// Spending: carries life-cycle events into the ledger, and holds tenants to their budgets and transfer allowances.
//
// A budget is the tenant's own or its provider's: at 50, 75, 90 and 100 % of the month's cost (a draft of its invoice,
// tax included) an event tells, once a month each; a hard one suspends the tenant at 100 %. An allowance is of the
// plan, in the price list: when the month's external bytes out have passed it, `throttle` lowers the network rate to a
// tenth until the month ends, `stop` suspends, `charge` does nothing, for the item's price does. Each happens once a
// month, so a provider that resumes a tenant is not overruled until the next. Both work on usage that the ledger has:
// what a node has not delivered yet comes on top, at most some seconds' worth while it is connected.
//
// Threads: step() from one thread; SpendingLoop owns it. Failures: an error is logged and tried again with the next
// step.
#pragma once

#include <condition_variable>
#include <mutex>
#include <thread>

#include "controlplane/reconcile/deployments.h"
#include "controlplane/store/store.h"
#include "metering/billing/billing.h"
#include "metering/ledger/ledger.h"

namespace cloister::reconcile {

class Spending {
 public:
  Spending(store::Store& store, metering::Ledger& ledger, metering::Billing& billing, Deployments& deployments)
      : store_(store), ledger_(ledger), billing_(billing), deployments_(deployments) {}

  // Events that are not in the ledger yet.
  void deliver(model::Micros now);
  // Budgets and allowances as of `now`.
  void watch(model::Micros now);

 private:
  void watchBudget(const metering::Budget& budget, model::Micros now);
  void watchTransfer(const model::Tenant& tenant, const metering::PlanTerms& terms, model::Micros now);
  // True the first time in this month.
  [[nodiscard]] bool first(const std::string& tenantId, const std::string& kind, model::Micros now);
  void suspend(const model::Tenant& tenant);

  store::Store& store_;
  metering::Ledger& ledger_;
  metering::Billing& billing_;
  Deployments& deployments_;
};

// Delivers every second, watches every ten.
class SpendingLoop {
 public:
  explicit SpendingLoop(Spending& spending);
  ~SpendingLoop();
  SpendingLoop(const SpendingLoop&) = delete;
  SpendingLoop& operator=(const SpendingLoop&) = delete;

 private:
  void run();
  Spending& spending_;
  std::mutex mutex_;
  std::condition_variable wake_;
  bool stopping_ = false;
  std::thread thread_;
};

}  // namespace cloister::reconcile
