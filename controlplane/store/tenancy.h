// Plans and tenants, with the durable allocator of tenant indexes.
//
// Threads: any; each call takes the store's lock. Failures: Refusal for what the caller did, StoreError for the rest.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "controlplane/model/model.h"
#include "controlplane/store/page.h"

namespace cloister::store {

class Store;

class Plans {
 public:
  explicit Plans(Store& store) : store_(store) {}
  // Invalid (name no label, a limit that must not be zero is: all but apps, instances and the network rate);
  // Conflict "name_taken".
  model::Plan create(const std::string& name, const model::PlanLimits& limits);
  [[nodiscard]] std::optional<model::Plan> find(const std::string& name) const;
  [[nodiscard]] model::Plan get(const std::string& name) const;              // or NotFound
  [[nodiscard]] std::vector<model::Plan> list(const Page& page = {}) const;  // by name
  // Tenants of the plan keep what runs; only new admissions see smaller limits. Stale when `ifMatch` is not its
  // revision.
  model::Plan update(const std::string& name, const model::PlanLimits& limits,
                     std::optional<std::int64_t> ifMatch = {});
  void remove(const std::string& name);  // Conflict "plan_in_use"

 private:
  Store& store_;
};

class Tenants {
 public:
  explicit Tenants(Store& store) : store_(store) {}
  // Gives the next tenant index, which is never given again. Invalid (name), NotFound (plan), Conflict "name_taken",
  // Conflict "tenants_exhausted" behind index 30,000.
  model::Tenant create(const std::string& name, const std::string& plan);
  [[nodiscard]] std::optional<model::Tenant> find(const std::string& nameOrId) const;
  [[nodiscard]] model::Tenant get(const std::string& nameOrId) const;          // or NotFound
  [[nodiscard]] std::vector<model::Tenant> list(const Page& page = {}) const;  // by name
  model::Tenant setPlan(const std::string& id, const std::string& plan, std::optional<std::int64_t> ifMatch = {});
  // Only the row; reconcile::Deployments::suspend, resume and removeTenant do the whole thing.
  model::Tenant setState(const std::string& id, model::TenantState state);
  // Deletes the row and all that belongs to it but audit, events and operations.
  void erase(const std::string& id);

 private:
  Store& store_;
};

}  // namespace cloister::store
