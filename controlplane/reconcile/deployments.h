// Deployments: what clients ask for, turned into rows, each in a single transaction that also checks the quota.
//
// Nothing is done here but writing down the intent; Reconciler and the node make it so. All calls return at once with
// the operation that tells how it goes. Threads: any. Failures: store::Refusal and its kinds; store::StoreError.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "controlplane/model/model.h"
#include "controlplane/model/node_protocol.h"
#include "controlplane/reconcile/environment_changes.h"
#include "controlplane/reconcile/quota.h"
#include "controlplane/reconcile/rollout.h"
#include "controlplane/store/store.h"

namespace cloister::reconcile {

struct DeployOptions {
  std::string treeDigest{};  // builds/tree_digest.h; without it nothing earlier is reused
  model::Reuse reuse = model::Reuse::unchanged;
  std::vector<model::BuildStep> steps{};  // builds/steps.h
};

class Deployments {
 public:
  struct Options {
    // Digest of a base image by its name ("debian-12"); empty: not there.
    std::function<std::string(const std::string&)> baseDigest;
    std::size_t queuedBuildsPerTenant = 10;
  };
  // One-off instances of a former process are given back: their sessions ended with it.
  Deployments(store::Store& store, Options options);

  // Queues a build; its success becomes a release and a rollout. `sourceDigest` is a blob that is there. The app must
  // exist (Apps::create). Invalid "base_unavailable", Conflict "tenant_not_active", QuotaExceeded.
  model::Operation deploy(const std::string& appId, const model::Manifest& manifest, const std::string& sourceDigest,
                          const std::string& createdBy, const DeployOptions& how = {});
  // `changes`: process type -> wanted instances. Invalid for a process that the current release does not have;
  // QuotaExceeded.
  model::Operation scale(const std::string& appId, const std::map<std::string, std::int64_t>& changes);
  // A new release when the app has one and something changes; failures as of changed() (environment_changes.h).
  using Changes = EnvironmentChanges;
  model::Operation setConfig(const std::string& appId, const Changes& changes, const std::string& createdBy);
  model::Operation setSecrets(const std::string& appId, const Changes& changes, const std::string& createdBy);
  // A new release with image, config and secrets of `version`; without it of the latest one before the current that was
  // rolled out and is another. NotFound; Conflict "nothing_to_roll_back".
  model::Operation rollback(const std::string& appId, std::optional<std::int64_t> version,
                            const std::string& createdBy);
  // Starts every instance anew, one by one: a new release like the current.
  model::Operation restart(const std::string& appId, const std::string& createdBy);
  // The app's own list of system calls (call_profiles.h). What must hold at once starts every instance anew: a new
  // release like the current. Invalid for a call that the app class does not let through; Conflict "nothing_learned"
  // for enforcing a list that is empty.
  struct ProfileChange {
    std::optional<model::CallMode> mode{};
    std::optional<std::int64_t> learnSeconds{};  // with learn; 6 hours by default
    std::optional<bool> builds{};
    bool anew = false;  // forgets all that was seen
    std::vector<std::string> allow{};
    std::vector<std::string> forget{};
  };
  model::Operation setCallProfile(const std::string& appId, const ProfileChange& change, const std::string& createdBy);
  // It ends here and now, and nothing of it is released. Conflict "build_ended".
  model::Build cancelBuild(const std::string& buildId);
  model::Operation removeApp(const std::string& appId);

  // Workloads stop, all data stays. Idempotent.
  model::Tenant suspend(const std::string& tenantId);
  model::Tenant resume(const std::string& tenantId);
  // Stops and removes all apps, then the tenant. Its name is free again afterwards; its index is not.
  model::Operation removeTenant(const std::string& tenantId);

  // A one-off instance for `cloister run`, charged to the quota, for Session::runInstance; closeRun gives it all back.
  // `release` must exist. Never in NodeWork::instances.
  model::DesiredInstance openRun(const std::string& appId);
  void closeRun(const std::string& instanceId);

 private:
  struct Why {
    std::string kind;  // of the operation
    std::string description;
    std::string createdBy;
  };
  model::Operation changeEnvironment(const std::string& appId, const Changes& changes, const std::string& createdBy,
                                     Variables variables);
  // An operation that has nothing left to do.
  model::Operation done(const model::App& app, const std::string& kind, const std::string& description);
  // A new release like the current; without one there is nothing to start.
  model::Operation startAnew(const model::App& app, const Why& why);
  model::Operation releaseLike(const model::App& app, const model::Release& model,
                               const store::Environment& environment, Carries carries, const Why& why);

  store::Store& store_;
  Options options_;
};

}  // namespace cloister::reconcile
