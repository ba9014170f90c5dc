// What instances may use, and whether a tenant's formations fit its plan.
//
// Threads: as the store. Failures: store::QuotaExceeded.
#pragma once

#include <map>
#include <string>

#include "controlplane/model/node_protocol.h"
#include "controlplane/store/store.h"

namespace cloister::reconcile {

// What an instance of `manifest` may use under `plan`: the manifest's wish, else min(256 MiB, plan) of memory and of
// disk and the plan's CPU and pids. QuotaExceeded with field "limits.memory" and so on when the manifest wants more
// than the plan; `planName` is for its text.
[[nodiscard]] model::InstanceLimits instanceLimits(const model::Manifest& manifest, const model::PlanLimits& plan,
                                                   const std::string& planName = {});
// The same for a build: the plan's share for builds.
[[nodiscard]] model::InstanceLimits buildLimits(const model::PlanLimits& plan);

// Sum that a tenant's formations ask for, `app` counted with `manifest` and `formation` instead of its own;
// QuotaExceeded with `field` when that is more than the plan's instances, memory or disk.
void checkFormations(store::Store& store, const model::Tenant& tenant, const std::string& appId,
                     const model::Manifest& manifest, const std::map<std::string, std::int64_t>& formation,
                     const std::string& field);

// What the caller of a rollout of `manifest` should know beforehand: that what runs stops first, because the plan has
// no room for an instance beside it. Empty when it has, or when nothing runs. A manifest that the plan does not allow
// at all is a QuotaExceeded.
[[nodiscard]] std::string stopsFirst(store::Store& store, const model::App& app, const model::Manifest& manifest);

// Wanted instances of `process`; 0 for one that the manifest does not have.
[[nodiscard]] std::size_t wanted(const model::Manifest& manifest, const std::map<std::string, std::int64_t>& formation,
                                 const std::string& process);

}  // namespace cloister::reconcile
