// Spending: carries the control plane's own rows into the ledger, those of images once an hour at least, and holds
// tenants to their budgets and transfer allowances.
//
// A budget is the tenant's own or its provider's, and there may be both, each by itself: at 50, 75, 90 and 100 % of the
// month's cost (a draft of its invoice, tax included) an event tells, once a month each; a hard one suspends the tenant
// at 100 %. An allowance is of the plan, in the price list: when the month's external bytes out have passed it,
// `throttle` lowers the network rate to a tenth until the month ends, `stop` suspends, `charge` does nothing, for the
// item's price does. Each happens once a month, so a provider that resumes a tenant is not overruled until the next;
// that it happened is written in the store's transaction of the act itself, so a crash loses none and doubles none.
// Both work on usage that the ledger has: what a node has not delivered yet comes on top, at most some seconds' worth
// while it is connected.
//
// Threads: one. Failures: what the ledger's database fails at ends the step, is logged once until it changes or ends,
// and is tried again with the next step; StoreError ends it too, and the next watch tries again.
#pragma once

#include <functional>
#include <string>

#include "controlplane/reconcile/deployments.h"
#include "controlplane/store/store.h"
#include "metering/billing/billing.h"
#include "metering/ledger/ledger.h"

namespace cloister::reconcile {

class Spending {
 public:
  Spending(store::Store& store, metering::Ledger& ledger, metering::Billing& billing, Deployments& deployments)
      : store_(store), ledger_(ledger), billing_(billing), deployments_(deployments) {}

  // Every second: delivers, and watches at each tenth.
  void step(model::Micros now);
  // Rows that are not in the ledger yet.
  void deliver(model::Micros now);
  // Budgets and allowances as of `now`.
  void watch(model::Micros now);

 private:
  void failed(const char* what, const Error& error);
  void accountImages(model::Micros now);
  void watchBudgets(model::Micros now);
  void watchTransfers(model::Micros now);
  void compare(const metering::Budget& budget, const model::Tenant& tenant, const metering::Invoice& draft,
               model::Micros now);
  void endTransfer(const model::Tenant& tenant, const metering::PlanTerms& terms, model::Micros now);
  // Acts the first time in this month.
  void once(const std::string& tenantId, const std::string& kind, model::Micros now, const std::function<void()>& act);
  void suspend(const std::string& tenantId);

  store::Store& store_;
  metering::Ledger& ledger_;
  metering::Billing& billing_;
  Deployments& deployments_;
  unsigned turn_ = 0;
  model::Micros accountedHour_ = -1;
  std::string failure_;  // of the last step; empty: none
};

}  // namespace cloister::reconcile
