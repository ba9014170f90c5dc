#include "controlplane/reconcile/deployments.h"

#include <algorithm>

#include "controlplane/reconcile/call_profiles.h"
#include "controlplane/reconcile/node_work.h"
#include "controlplane/reconcile/placement.h"
#include "controlplane/reconcile/retention.h"
#include "controlplane/reconcile/rollout.h"
#include "policy/model/call_profile.h"
#include "sandbox/base/utf8.h"

namespace cloister::reconcile {
namespace {

using store::Conflict;
using store::Invalid;

constexpr std::int64_t kLearnSeconds = 6LL * 3600;
constexpr std::int64_t kMostLearnSeconds = 90LL * 86400;
constexpr std::int64_t kMaxScale = 250;  // a tenant has 253 addresses on a node
constexpr std::size_t kMaxValueBytes = 32UL * 1024;
constexpr std::size_t kMaxEnvironmentBytes = 64UL * 1024;  // it travels in one message to the launcher

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

void checkVariable(const std::string& name, const std::optional<std::string>& value) {
  const auto letter = [](char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_'; };
  const auto good = [&](char c) { return letter(c) || (c >= '0' && c <= '9'); };
  if (name.empty() || name.size() > 256 || !letter(name.front()) || !std::all_of(name.begin(), name.end(), good)) {
    throw Invalid(name, "a variable's name has letters, digits and _ and begins with no digit");
  }
  if (name == "PORT" || name.starts_with("CLOISTER_")) throw Invalid(name, "is set by Cloister");
  if (!value) return;
  if (value->size() > kMaxValueBytes) throw Invalid(name, "its value is longer than 32 KiB");
  if (value->find('\0') != std::string::npos) throw Invalid(name, "its value has a NUL character");
  if (!utf8::valid(*value)) throw Invalid(name, "its value is not UTF-8; give bytes as base64");
}

std::size_t sizeOf(const std::map<std::string, std::string>& variables) {
  std::size_t bytes = 0;
  for (const auto& [name, value] : variables) bytes += name.size() + value.size() + 2;
  return bytes;
}

// "config set A, B; unset C"
std::string describe(const char* kind, const Deployments::Changes& changes) {
  std::string set;
  std::string unset;
  for (const auto& [name, value] : changes) {
    auto& list = value ? set : unset;
    list += (list.empty() ? "" : ", ") + name;
  }
  std::string text = kind;
  if (!set.empty()) text += " set " + set;
  if (!unset.empty()) text += (set.empty() ? " unset " : "; unset ") + unset;
  return text;
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

model::Release latestBefore(store::Store& store, const model::App& app) {
  for (auto& release : store.releases().list(app.id, {std::to_string(app.currentRelease), 1}))
    return std::move(release);
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
    model::Build build;
    build.tenantId = tenant.id;
    build.appId = app.id;
    build.operationId = operation.id;
    build.sourceDigest = sourceDigest;
    build.baseDigest = base;
    build.treeDigest = how.treeDigest;
    build.reuse = how.reuse;
    build.steps = how.steps;
    build.environment = store_.apps().config(app.id);
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

model::Operation Deployments::releaseLike(const model::App& app, const model::Release& model, const std::string& kind,
                                          const std::string& description, const std::string& createdBy) {
  const auto operation = store_.operations().create(app.tenantId, kind, subjectOf(app), description);
  auto next = model;
  next.config = store_.apps().config(app.id);
  next.description = description;
  next.createdBy = createdBy;
  beginRelease(store_, app, std::move(next), operation.id);
  return store_.operations().get(operation.id);
}

model::Operation Deployments::done(const model::App& app, const std::string& kind, const std::string& description) {
  const auto operation = store_.operations().create(app.tenantId, kind, subjectOf(app), description);
  store_.operations().succeed(operation.id, "");
  return store_.operations().get(operation.id);
}

model::Operation Deployments::startAnew(const model::App& app, const std::string& kind, const std::string& description,
                                        const std::string& createdBy) {
  if (app.currentRelease == 0) return done(app, kind, description);
  return releaseLike(app, store_.releases().get(app.id, app.currentRelease), kind, description, createdBy);
}

model::Operation Deployments::changeEnvironment(const std::string& appId, const Changes& changes,
                                                const std::string& createdBy, const char* kind) {
  if (changes.empty()) throw Invalid("", "no variable is named");
  for (const auto& [name, value] : changes) checkVariable(name, value);
  return store_.transact([&] {
    const auto app = store_.apps().byId(appId);
    activeTenant(store_, app);
    const bool secret = std::string_view(kind) == "secret";
    auto config = store_.apps().config(app.id);
    for (const auto& [name, value] : changes) {
      // One name has one value: setting it on one side takes it from the other; unsetting concerns its own side.
      if (value || !secret) config.erase(name);
      if (value || secret) store_.secrets().unset(app.id, name);
      if (value && secret) store_.secrets().set(app.id, name, *value);
      if (value && !secret) config[name] = *value;
    }
    if (sizeOf(config) + sizeOf(store_.secrets().values(app.id)) > kMaxEnvironmentBytes) {
      throw Invalid(changes.begin()->first, "the whole environment would be larger than 64 KiB",
                    "environment_too_large");
    }
    store_.apps().setConfig(app.id, config);
    const auto description = describe(kind, changes);
    return startAnew(app, kind, description, createdBy);
  });
}

model::Operation Deployments::setConfig(const std::string& appId, const Changes& changes,
                                        const std::string& createdBy) {
  return changeEnvironment(appId, changes, createdBy, "config");
}

model::Operation Deployments::setSecrets(const std::string& appId, const Changes& changes,
                                         const std::string& createdBy) {
  return changeEnvironment(appId, changes, createdBy, "secret");
}

model::Operation Deployments::rollback(const std::string& appId, std::optional<std::int64_t> version,
                                       const std::string& createdBy) {
  return store_.transact([&] {
    const auto app = store_.apps().byId(appId);
    const auto tenant = activeTenant(store_, app);
    const auto target = version ? store_.releases().get(app.id, *version) : latestBefore(store_, app);
    requireImage(store_, tenant, target);
    checkFormations(store_, tenant, app.id, target.manifest, app.formation, "release");
    store_.apps().setConfig(app.id, target.config);
    for (const auto& [name, value] : target.config) store_.secrets().unset(app.id, name);
    return releaseLike(app, target, "rollback", "rollback to v" + std::to_string(target.version), createdBy);
  });
}

model::Operation Deployments::restart(const std::string& appId, const std::string& createdBy) {
  return store_.transact([&] {
    const auto app = store_.apps().byId(appId);
    activeTenant(store_, app);
    if (app.currentRelease == 0) throw Conflict("no_release", "app", "app \"" + app.name + "\" has no release yet");
    return releaseLike(app, store_.releases().get(app.id, app.currentRelease), "restart", "restart", createdBy);
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
    if (after.others != before.others || stricter) return startAnew(app, "profile", description, createdBy);
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
    return desiredInstance(store_.instances().admit(std::move(record)), app, release, store_.secrets().values(app.id));
  });
}

void Deployments::closeRun(const std::string& instanceId) {
  store_.transact([&] {
    const auto record = store_.instances().find(instanceId);
    if (record && record->kind == store::InstanceKind::oneOff) store_.instances().erase(instanceId);
  });
}

}  // namespace cloister::reconcile
