// The API's resources, a function a noun: each adds its routes (openapi.yaml has the list) to the router.
//
// Threads: before the server starts. Failures: none; handlers throw Problem and store::Refusal.
#pragma once

#include "api/router.h"
#include "api/services.h"

namespace cloister::api {

void addService(Router& router, const Services& services);  // healthz, readyz, openapi.json, whoami, posture
void addPlans(Router& router, const Services& services);
void addTenants(Router& router, const Services& services);
void addTokens(Router& router, const Services& services);
void addNodes(Router& router, const Services& services);
void addApps(Router& router, const Services& services);          // apps, formation, config, secrets, domains, rollback
void addCallProfiles(Router& router, const Services& services);  // an app's own list of system calls, its posture
void addInstances(Router& router, const Services& services);
void addDeployments(Router& router, const Services& services);  // uploads, builds and their logs, releases
void addStreams(Router& router, const Services& services);      // logs, exec, run
void addOperations(Router& router, const Services& services);
void addRecords(Router& router, const Services& services);  // usage, audit, events
void addQuotas(Router& router, const Services& services);   // what a tenant keeps, and how much it may
void addBilling(Router& router, const Services& services);  // prices, invoices, exports, credits, budgets, ledger

// What several nouns need.
[[nodiscard]] model::App appOf(const Services& services, const Request& request);
[[nodiscard]] Answer accepted(const model::Operation& operation);

// Tenant names by id, for lists over many tenants.
class TenantNames {
 public:
  explicit TenantNames(store::Store& store) : store_(store) {}
  [[nodiscard]] std::string of(const std::string& id);

 private:
  store::Store& store_;
  std::map<std::string, std::string> known_;
};

}  // namespace cloister::api
