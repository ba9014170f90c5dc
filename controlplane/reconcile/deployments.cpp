#include "controlplane/reconcile/deployments.h"

#include <algorithm>

#include "controlplane/reconcile/call_profiles.h"
#include "controlplane/reconcile/likeness.h"
#include "controlplane/reconcile/node_work.h"
#include "controlplane/reconcile/placement.h"
#include "controlplane/reconcile/retention.h"
#include "policy/model/call_profile.h"

namespace cloister::reconcile {
namespace {

using store::Conflict;
using store::Invalid;

constexpr std::int64_t kLearnSeconds = 6LL * 3600;
constexpr std::int64_t kMostLearnSeconds = 90LL * 86400;
constexpr std::int64_t kMaxScale = 250;  // a tenant has 253 addresses on a node

model::Tenant activeTenant(store::Store& store, const model::App& app) {
  auto tenant = store.tenants().get(app.tenantId);
  if (tenant.state != model::TenantState::active) {
    throw Conflict("tenant_not_active", "tenant", "tenant \"" + tenant.name + "\" is " + model::name(tenant.state));
  }
  if (store.apps().removing(app.id)) throw Conflict("app_removing", "app", "app \"" + app.name + "\" is being removed");
  return tenant;
}

std::string subjectOf(const model::App& app) {
  return "app/" + app.name;
}

std::vector<std::uint32_t> numbersOfNames(const std::string& field, const std::vector<std::string>& names) {
  std::vector<std::uint32_t> numbers;
  for (const auto& name : names) {
    const auto number = policy::callNumber(name);
    if (!number || !policy::classCalls(launcher::Confinement::app).test(*number)) {
      throw Invalid(field, "\"" + name + "\" is no system call that an app can be given");
    }
    numbers.push_back(*number);
  }
  return numbers;
}

void checkLearning(const Deployments::ProfileChange& change) {
  if (change.learnSeconds && change.mode != model::CallMode::learn) {
    throw Invalid("learn_seconds", "goes with the mode \"learn\" alone");
  }
  const auto seconds = change.learnSeconds.value_or(kLearnSeconds);
  if (seconds < 1 || seconds > kMostLearnSeconds) throw Invalid("learn_seconds", "must be 1 second to 90 days");
}

// "profile learn allow a, b forget c"
std::string describe(const Deployments::ProfileChange& change) {
  std::string text = "profile";
  const auto append = [&](const char* verb, const std::vector<std::string>& names) {
    for (std::size_t i = 0; i < names.size(); ++i) text += (i == 0 ? std::string(" ") + verb + " " : ", ") + names[i];
  };
  if (change.mode) text += std::string(" ") + model::name(*change.mode);
  if (change.anew) text += " anew";
  if (change.builds) text += *change.builds ? " with builds" : " without builds";
  append("allow", change.allow);
  append("forget", change.forget);
  return text;
}

// What ran before and was not the same. A restart is a release like the one before it: going back to that changes
// nothing.
model::Release latestBefore(store::Store& store, const model::App& app) {
  const auto current = store.releases().find(app.id, app.currentRelease);
  store::Page page{std::to_string(app.currentRelease), 50};
  for (auto releases = store.releases().list(app.id, page); !releases.empty();
       releases = store.releases().list(app.id, page)) {
    for (auto& release : releases) {
      if (release.state == model::ReleaseState::released && !(current && runAlike(store, release, *current)))
        return std::move(release);
    }
    page.after = std::to_string(releases.back().version);
  }
  throw Conflict("nothing_to_roll_back", "release", "app \"" + app.name + "\" has no release before the current one");
}

}  // namespace

Deployments::Deployments(store::Store& store, Options options) : store_(store), options_(std::move(options)) {
  store_.transact([&] {
    for (const auto& record : store_.instances().all()) {
      if (record.kind == store::InstanceKind::oneOff) store_.instances().erase(record.instance.id);
    }
  });
}

model::Operation Deployments::deploy(const std::string& appId, const model::Manifest& manifest,
                                     const std::string& sourceDigest, const std::string& createdBy,
                                     const DeployOptions& how) {
  const auto base = options_.baseDigest ? options_.baseDigest(manifest.base) : std::string();
  if (base.empty())
    throw Invalid("base", "the base image \"" + manifest.base + "\" is not here yet", "base_unavailable");
  return store_.transact([&] {
    const auto app = store_.apps().byId(appId);
    const auto tenant = activeTenant(store_, app);
    checkFormations(store_, tenant, app.id, manifest, app.formation, "formation");
    std::size_t queued = 0;
    for (const auto& build : store_.builds().unfinished()) queued += build.tenantId == tenant.id ? 1U : 0U;
    if (queued >= options_.queuedBuildsPerTenant) {
      throw store::Refusal(store::RefusalKind::quota, "quota_exceeded", "",
                           std::to_string(queued) + " builds of the tenant wait or run already; let one end first");
    }
    auto operation = store_.operations().create(tenant.id, "deploy", subjectOf(app), "waiting to build");
    operation.notice = stopsFirst(store_, app, manifest);
    store_.operations().setNotice(operation.id, operation.notice);
    model::Build build;
    build.tenantId = tenant.id;
    build.appId = app.id;
    build.operationId = operation.id;
    build.sourceDigest = sourceDigest;
    build.baseDigest = base;
    build.treeDigest = how.treeDigest;
    build.reuse = how.reuse;
    build.steps = how.steps;
    build.environment = store_.environments().get(app.id, app.currentRelease).config;
    build.environment["CLOISTER_APP"] = app.name;
    build.manifest = manifest;
    if (build.reuse == model::Reuse::nothing || store_.builds().alike(build).empty()) {
      checkImageDisk(store_, tenant, app.id);
    }
    build = store_.builds().create(std::move(build), createdBy);
    store_.events().append(tenant.id, app.name, "build.queued", build.id);
    return operation;
  });
}

model::Operation Deployments::scale(const std::string& appId, const std::map<std::string, std::int64_t>& changes) {
  return store_.transact([&] {
    const auto app = store_.apps().byId(appId);
    const auto tenant = activeTenant(store_, app);
    if (app.currentRelease == 0) throw Conflict("no_release", "app", "app \"" + app.name + "\" has no release yet");
    if (changes.empty()) throw Invalid("formation", "names no process type");
    const auto manifest = store_.releases().get(app.id, app.currentRelease).manifest;
    auto formation = app.formation;
    std::string text;
    for (const auto& [process, count] : changes) {
      const auto field = "formation." + process;
      if (!manifest.processes.contains(process))
        throw Invalid(field, "the current release has no process type \"" + process + "\"");
      if (count < 0 || count > kMaxScale) throw Invalid(field, "must be 0 to " + std::to_string(kMaxScale));
      formation[process] = count;
      text += (text.empty() ? "" : " ") + process + "=" + std::to_string(count);
    }
    checkFormations(store_, tenant, app.id, manifest, formation, "formation." + changes.begin()->first);
    store_.apps().setFormation(app.id, formation);
    auto operation = store_.operations().create(tenant.id, "scale", subjectOf(app), "scaling to " + text);
    store_.rollouts().begin({operation.id, app.id, app.currentRelease, app.currentRelease});
    store_.events().append(tenant.id, app.name, "app.scaled", text);
    store_.bumpRevision();
    return operation;
  });
}

model::Operation Deployments::releaseLike(const model::App& app, const model::Release& model,
                                          const store::Environment& environment, Carries carries, const Why& why) {
  const auto operation = store_.operations().create(app.tenantId, why.kind, subjectOf(app), why.description);
  auto next = model;
  next.config = environment.config;
  next.description = why.description;
  next.createdBy = why.createdBy;
  beginRelease(store_, app, std::move(next), environment.secrets, operation.id, carries);
  return store_.operations().get(operation.id);
}

model::Operation Deployments::done(const model::App& app, const std::string& kind, const std::string& description) {
  const auto operation = store_.operations().create(app.tenantId, kind, subjectOf(app), description);
  store_.operations().succeed(operation.id, "");
  return store_.operations().get(operation.id);
}

model::Operation Deployments::startAnew(const model::App& app, const Why& why) {
  if (app.currentRelease == 0) return done(app, why.kind, why.description);
  return releaseLike(app, store_.releases().get(app.id, app.currentRelease),
                     store_.environments().get(app.id, app.currentRelease), Carries::everything, why);
}

model::Operation Deployments::changeEnvironment(const std::string& appId, const Changes& changes,
                                                const std::string& createdBy, Variables variables) {
  return store_.transact([&] {
    const auto app = store_.apps().byId(appId);
    activeTenant(store_, app);
    const auto before = store_.environments().get(app.id, app.currentRelease);
    const auto after = changed(store_, before, variables, changes);
    const Why why{name(variables), describe(variables, changes), createdBy};
    if (app.currentRelease == 0) store_.environments().setInitial(app.id, after);
    if (app.currentRelease == 0 || after == before) return done(app, why.kind, why.description);
    return releaseLike(app, store_.releases().get(app.id, app.currentRelease), after, Carries::everything, why);
  });
}

model::Operation Deployments::setConfig(const std::string& appId, const Changes& changes,
                                        const std::string& createdBy) {
  return changeEnvironment(appId, changes, createdBy, Variables::config);
}

model::Operation Deployments::setSecrets(const std::string& appId, const Changes& changes,
                                         const std::string& createdBy) {
  return changeEnvironment(appId, changes, createdBy, Variables::secrets);
}

model::Operation Deployments::rollback(const std::string& appId, std::optional<std::int64_t> version,
                                       const std::string& createdBy) {
  return store_.transact([&] {
    const auto app = store_.apps().byId(appId);
    const auto tenant = activeTenant(store_, app);
    const auto target = version ? store_.releases().get(app.id, *version) : latestBefore(store_, app);
    requireImage(store_, tenant, target);
    checkFormations(store_, tenant, app.id, target.manifest, app.formation, "release");
    return releaseLike(app, target, store_.environments().get(app.id, target.version), Carries::nothing,
                       {"rollback", "rollback to v" + std::to_string(target.version), createdBy});
  });
}

model::Operation Deployments::restart(const std::string& appId, const std::string& createdBy) {
  return store_.transact([&] {
    const auto app = store_.apps().byId(appId);
    activeTenant(store_, app);
    if (app.currentRelease == 0) throw Conflict("no_release", "app", "app \"" + app.name + "\" has no release yet");
    return startAnew(app, {"restart", "restart", createdBy});
  });
}

model::Operation Deployments::setCallProfile(const std::string& appId, const ProfileChange& change,
                                             const std::string& createdBy) {
  const auto allow = numbersOfNames("allow", change.allow);
  const auto forget = numbersOfNames("forget", change.forget);
  checkLearning(change);
  return store_.transact([&] {
    const auto app = store_.apps().byId(appId);
    activeTenant(store_, app);
    const auto before = appCallList(store_, app.id);
    auto profile = store_.callProfiles().get(app.id);
    if (change.mode) profile.mode = *change.mode;
    if (change.mode == model::CallMode::learn) {
      profile.learnUntil = store::now() + change.learnSeconds.value_or(kLearnSeconds) * 1'000'000;
    }
    if (change.builds) profile.builds = *change.builds;
    store_.callProfiles().set(app.id, profile);
    if (change.anew) store_.callProfiles().forgetAll(app.id);
    for (const auto number : allow) store_.callProfiles().add(app.id, {.number = number, .byName = true});
    for (const auto number : forget) store_.callProfiles().forget(app.id, number);
    const auto after = appCallList(store_, app.id);
    if (after.others == model::OtherCalls::refuse && after.calls.empty()) {
      throw Conflict("nothing_learned", "mode",
                     "nothing of app \"" + app.name + "\" has been learned yet; let it learn first");
    }
    const auto description = describe(change);
    store_.events().append(app.tenantId, app.name, "profile.changed", description);
    // What was let go on anyway may wait for the next start; and nobody starts to learn from an instance that runs.
    const bool stricter = after.others == model::OtherCalls::refuse && after.calls != before.calls;
    if (after.others != before.others || stricter) return startAnew(app, {"profile", description, createdBy});
    return done(app, "profile", description);
  });
}

model::Build Deployments::cancelBuild(const std::string& buildId) {
  return store_.transact([&] {
    const auto build = store_.builds().get(buildId);
    if (build.state != model::BuildState::queued && build.state != model::BuildState::running) {
      throw Conflict("build_ended", "build", "build " + build.id + " has " + model::name(build.state) + " already");
    }
    reconcile::cancelBuild(store_, build, {"build_cancelled", "the build was cancelled"});
    store_.events().append(build.tenantId, store_.apps().byId(build.appId).name, "build.cancelled", build.id);
    return store_.builds().get(build.id);
  });
}

model::Operation Deployments::removeApp(const std::string& appId) {
  return store_.transact([&] {
    const auto app = store_.apps().byId(appId);
    for (const auto& rollout : store_.rollouts().ofApp(app.id)) {
      if (rollout.release == 0) return store_.operations().get(rollout.operationId);  // under way already
      store_.operations().fail(rollout.operationId, {"app_removed", "the app is being removed"});
      store_.rollouts().end(rollout.operationId);
    }
    cancelBuilds(store_, app.id, {"app_removed", "the app is being removed"});
    store_.apps().markRemoving(app.id);
    auto operation = store_.operations().create(app.tenantId, "app.remove", subjectOf(app), "stopping instances");
    store_.rollouts().begin({operation.id, app.id, 0, 0});
    store_.bumpRevision();
    return operation;
  });
}

model::Tenant Deployments::suspend(const std::string& tenantId) {
  return store_.transact([&] {
    const auto tenant = store_.tenants().get(tenantId);
    if (tenant.state == model::TenantState::suspended) return tenant;
    if (tenant.state == model::TenantState::deleting) {
      throw Conflict("tenant_not_active", "tenant", "tenant \"" + tenant.name + "\" is being removed");
    }
    for (const auto& app : store_.apps().list(tenant.id, {"", 1'000'000})) {
      cancelBuilds(store_, app.id, {"tenant_suspended", "the tenant was suspended"});
    }
    store_.events().append(tenant.id, "", "tenant.suspended", "workloads stop, data stays");
    return store_.tenants().setState(tenant.id, model::TenantState::suspended);
  });
}

model::Tenant Deployments::resume(const std::string& tenantId) {
  return store_.transact([&] {
    const auto tenant = store_.tenants().get(tenantId);
    if (tenant.state == model::TenantState::active) return tenant;
    if (tenant.state == model::TenantState::deleting) {
      throw Conflict("tenant_not_active", "tenant", "tenant \"" + tenant.name + "\" is being removed");
    }
    store_.events().append(tenant.id, "", "tenant.resumed", "workloads start again");
    return store_.tenants().setState(tenant.id, model::TenantState::active);
  });
}

model::Operation Deployments::removeTenant(const std::string& tenantId) {
  return store_.transact([&] {
    const auto tenant = store_.tenants().get(tenantId);
    for (const auto& operation : store_.operations().list(tenant.id)) {
      if (operation.kind == "tenant.remove" && operation.state != model::OperationState::failed) return operation;
    }
    for (const auto& app : store_.apps().list(tenant.id, {"", 1'000'000})) removeApp(app.id);
    for (const auto& token : store_.tokens().list(tenant.id, {"", 1'000'000})) store_.tokens().revoke(token.id);
    store_.tenants().setState(tenant.id, model::TenantState::deleting);
    return store_.operations().create(tenant.id, "tenant.remove", "tenant/" + tenant.name, "stopping instances");
  });
}

model::DesiredInstance Deployments::openRun(const std::string& appId) {
  return store_.transact([&] {
    const auto app = store_.apps().byId(appId);
    const auto tenant = activeTenant(store_, app);
    if (app.currentRelease == 0) throw Conflict("no_release", "app", "app \"" + app.name + "\" has no release yet");
    const auto release = store_.releases().get(app.id, app.currentRelease);
    store::InstanceRecord record;
    record.kind = store::InstanceKind::oneOff;
    record.limits = instanceLimits(release.manifest, store_.plans().get(tenant.plan).limits);
    record.instance.tenantId = tenant.id;
    record.instance.appId = app.id;
    record.instance.release = release.version;
    record.instance.process = "run";
    record.instance.nodeId = Placement(store_.nodes().list(), store_.instances().all()).choose();
    if (record.instance.nodeId.empty()) throw Conflict("no_node", "", "no node is ready");
    return desiredInstance(store_.instances().admit(std::move(record)), app, release,
                           store_.environments().values(app.id, release.version));
  });
}

void Deployments::closeRun(const std::string& instanceId) {
  store_.transact([&] {
    const auto record = store_.instances().find(instanceId);
    if (record && record->kind == store::InstanceKind::oneOff) store_.instances().erase(instanceId);
  });
}

}  // namespace cloister::reconcile
