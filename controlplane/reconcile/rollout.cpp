#include "controlplane/reconcile/rollout.h"

#include "controlplane/reconcile/quota.h"
#include "controlplane/reconcile/retention.h"

namespace cloister::reconcile {

namespace {

bool livesOn(const std::string& kind, Carries carries) {
  const bool code = kind == "deploy" || kind == "rollback";
  const bool environment = kind == "config" || kind == "secret";
  return carries == Carries::everything || (!code && (carries == Carries::environment || !environment));
}

}  // namespace

model::Release beginRelease(store::Store& store, const model::App& app, model::Release next,
                            const std::map<std::string, store::Secret>& secrets, const std::string& operationId,
                            Carries carries) {
  return store.transact([&] {
    const auto release = store.releases().create(std::move(next), secrets);
    const auto version = "v" + std::to_string(release.version);
    auto previous = app.currentRelease;
    bool first = true;
    for (const auto& rollout : store.rollouts().ofApp(app.id)) {
      if (rollout.release == rollout.previousRelease) continue;
      if (rollout.failure.failed()) {  // its app is on the way back, which is not waited for any longer
        auto failure = rollout.failure;
        failure.detail += "; " + version + " takes its place";
        store.operations().fail(rollout.operationId, failure);
        store.rollouts().end(rollout.operationId);
        continue;
      }
      if (first) previous = rollout.previousRelease;
      first = false;
      store.releases().setState(app.id, rollout.release, model::ReleaseState::superseded);
      const auto operation = store.operations().find(rollout.operationId);
      if (operation && livesOn(operation->kind, carries)) continue;
      store.operations().fail(rollout.operationId,
                              {"superseded", version + " took its place before it was rolled out"});
      store.rollouts().end(rollout.operationId);
    }
    if (app.currentRelease == 0) store.environments().setInitial(app.id, {});
    store.apps().setCurrentRelease(app.id, release.version);
    store.rollouts().begin({operationId, app.id, release.version, previous});
    store.operations().setProgress(operationId, "rolling out " + version);
    retain(store, store.tenants().get(app.tenantId));
    store.operations().setNotice(operationId, stopsFirst(store, app, release.manifest));
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
