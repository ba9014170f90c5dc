// Making a release the current one: shared by what clients ask for and by builds that end.
//
// Threads: inside a transaction of the store. Failures: store::Refusal, store::StoreError.
#pragma once

#include <map>
#include <string>

#include "controlplane/model/model.h"
#include "controlplane/store/store.h"

namespace cloister::reconcile {

// How much of what the current release brought the next one has: a deploy brings code of its own and keeps the
// environment, a rollback keeps nothing.
enum class Carries { nothing, environment, everything };

// Writes `next` as the app's next release, makes it current and lets `operationId` end when it is rolled out. What is
// still under way and not carried on is superseded; what the app would go back to stays the last release that was
// rolled out whole. The first release takes over what the app was given before it.
model::Release beginRelease(store::Store& store, const model::App& app, model::Release next,
                            const std::map<std::string, store::Secret>& secrets, const std::string& operationId,
                            Carries carries);

// Ends unfinished builds of the app; their operations fail with `reason`.
void cancelBuild(store::Store& store, model::Build build, const model::Failure& reason);
// Those of the app that have not ended.
void cancelBuilds(store::Store& store, const std::string& appId, const model::Failure& reason);

}  // namespace cloister::reconcile
