// Making a release the current one: shared by what clients ask for and by builds that end.
//
// Threads: inside a transaction of the store. Failures: store::Refusal, store::StoreError.
#pragma once

#include <string>

#include "controlplane/model/model.h"
#include "controlplane/store/store.h"

namespace cloister::reconcile {

// Writes `next` as the app's next release, makes it current and lets `operationId` end when it is rolled out. Deploys
// and rollbacks that are still under way are superseded; what the app would go back to stays the last release that was
// rolled out whole.
model::Release beginRelease(store::Store& store, const model::App& app, model::Release next,
                            const std::string& operationId);

// Ends unfinished builds of the app; their operations fail with `reason`.
void cancelBuild(store::Store& store, model::Build build, const model::Failure& reason);
// Those of the app that have not ended.
void cancelBuilds(store::Store& store, const std::string& appId, const model::Failure& reason);

}  // namespace cloister::reconcile
