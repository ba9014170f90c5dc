#include "controlplane/reconcile/rollout.h"

#include "controlplane/reconcile/retention.h"

namespace cloister::reconcile {

model::Release beginRelease(store::Store& store, const model::App& app, model::Release next,
                            const std::string& operationId) {
  return store.transact([&] {
    const auto release = store.releases().create(std::move(next));
    const auto version = "v" + std::to_string(release.version);
    auto previous = app.currentRelease;
    bool first = true;
    for (const auto& rollout : store.rollouts().ofApp(app.id)) {
      if (rollout.release == rollout.previousRelease) continue;
      if (first) previous = rollout.previousRelease;
      first = false;
      const auto operation = store.operations().find(rollout.operationId);
      // A change of the environment lives on in the newer release; code that never served does not.
      if (operation && operation->kind != "deploy" && operation->kind != "rollback") continue;
      store.operations().fail(rollout.operationId,
                              {"superseded", version + " took its place before it was rolled out"});
      store.rollouts().end(rollout.operationId);
    }
    store.apps().setCurrentRelease(app.id, release.version);
    store.rollouts().begin({operationId, app.id, release.version, previous});
    store.operations().setProgress(operationId, "rolling out " + version);
    retain(store, store.tenants().get(app.tenantId));
    store.events().append(app.tenantId, app.name, "release.created", version + ": " + release.description);
    store.bumpRevision();
    return release;
  });
}

void cancelBuild(store::Store& store, model::Build build, const model::Failure& reason) {
  store.transact([&] {
    build.state = model::BuildState::cancelled;
    build.failure = reason;
    build.finishedAt = store::now();
    store.builds().update(build);
    store.addresses().release(build.id);
    store.operations().fail(build.operationId, reason);
    store.bumpRevision();
  });
}

void cancelBuilds(store::Store& store, const std::string& appId, const model::Failure& reason) {
  store.transact([&] {
    for (auto& build : store.builds().unfinished()) {
      if (build.appId == appId) cancelBuild(store, std::move(build), reason);
    }
  });
}

}  // namespace cloister::reconcile
