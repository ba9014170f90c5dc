#include "controlplane/reconcile/node_work.h"

#include <algorithm>
#include <array>
#include <set>
#include <utility>

#include "controlplane/reconcile/call_profiles.h"
#include "controlplane/reconcile/quota.h"
#include "controlplane/reconcile/retention.h"
#include "controlplane/reconcile/rollout.h"
#include "sandbox/base/identity.h"

namespace cloister::reconcile {
namespace {

using model::InstanceState;

// Liveness is written at most this often; the node timeout is several times longer.
constexpr model::Micros kSeenResolution = 5'000'000;

model::DesiredTenant desiredTenant(const model::Tenant& tenant, const model::PlanLimits& limits) {
  return {tenant.id, tenant.name, tenant.index, tenant.state, tenant.plan, limits};
}

std::string knownCode(const std::string& code) {
  constexpr std::array kCodes = {"build_failed", "build_timeout", "build_out_of_memory", "build_disk_full",
                                 "build_pids_limit"};
  return std::find(kCodes.begin(), kCodes.end(), code) == kCodes.end() ? "build_failed" : code;
}

bool sameFacts(const model::Node& left, const model::Node& right) {
  const auto same = [](const model::PostureCheck& a, const model::PostureCheck& b) {
    return a.name == b.name && a.state == b.state && a.reason == b.reason;
  };
  return left.bootId == right.bootId && left.observedRevision == right.observedRevision &&
         std::equal(left.posture.begin(), left.posture.end(), right.posture.begin(), right.posture.end(), same);
}

// The row as the report changes it. What the control plane itself decided (draining) stays.
store::InstanceRecord merged(store::InstanceRecord record, const model::InstanceReport& report) {
  auto& instance = record.instance;
  // Between two reports it may have ended and become ready again.
  if (instance.restarts != report.restarts) record.readySince = 0;
  instance.restarts = report.restarts;
  instance.reason = report.reason;
  instance.nextStartAt = report.nextStartAt;
  // Nobody told it to stop: it is no longer there, whatever the reason.
  const auto state = report.state == InstanceState::stopped ? InstanceState::crashed : report.state;
  const bool ours = instance.state == InstanceState::draining || state == InstanceState::draining;
  if (!ours && instance.state != state) {
    instance.state = state;
    instance.changedAt = report.changedAt != 0 ? report.changedAt : store::now();
  }
  if (record.startedAt == 0 && report.state != InstanceState::pending) record.startedAt = store::now();
  if (record.readyAt == 0 && report.state == InstanceState::running) record.readyAt = store::now();
  return record;
}

bool differs(const store::InstanceRecord& left, const store::InstanceRecord& right) {
  return left.instance.state != right.instance.state || left.instance.restarts != right.instance.restarts ||
         left.instance.reason != right.instance.reason || left.startedAt != right.startedAt ||
         left.readyAt != right.readyAt || left.readySince != right.readySince ||
         left.instance.nextStartAt != right.instance.nextStartAt;
}

}  // namespace

model::DesiredInstance desiredInstance(const store::InstanceRecord& record, const model::App& app,
                                       const model::Release& release, std::map<std::string, std::string> environment) {
  const auto& instance = record.instance;
  model::DesiredInstance desired;
  desired.id = instance.id;
  desired.tenantId = instance.tenantId;
  desired.appId = instance.appId;
  desired.app = app.name;
  desired.process = instance.process;
  desired.release = instance.release;
  if (const auto found = release.manifest.processes.find(instance.process); found != release.manifest.processes.end()) {
    desired.command = found->second;
  }
  desired.environment = std::move(environment);
  desired.environment["PORT"] = std::to_string(kAppPort);
  desired.environment["CLOISTER_APP"] = app.name;
  desired.environment["CLOISTER_RELEASE"] = "v" + std::to_string(instance.release);
  desired.environment["CLOISTER_PROCESS"] = instance.process;
  desired.environment["CLOISTER_INSTANCE"] = instance.id;
  desired.layers = {release.slugDigest};
  desired.layers.insert(desired.layers.end(), release.layers.begin(), release.layers.end());
  desired.layers.push_back(release.baseDigest);
  desired.limits = record.limits;
  desired.address = instance.address;
  desired.port = instance.port;
  desired.healthPath = instance.port != 0 ? release.manifest.healthPath : std::string();
  desired.immutable = release.manifest.immutable;
  desired.writable = release.manifest.writable;
  desired.desired = instance.desired;
  desired.draining = instance.state == InstanceState::draining;
  return desired;
}

std::string hostOf(const std::string& app, const std::string& tenant, const std::string& domain) {
  return app + "." + tenant + "." + domain;
}

NodeWorkService::NodeWorkService(store::Store& store, std::string appsDomain)
    : store_(store), appsDomain_(std::move(appsDomain)) {}

// Begins behind the last step whose layer is there.
void NodeWorkService::addSteps(const model::Build& build, model::DesiredBuild& desired) {
  const bool anew = build.reuse == model::Reuse::nothing || desired.callList.others != model::OtherCalls::open;
  if (!anew) desired.layers = store_.buildLayers().find(build);
  for (std::uint32_t i = 0; i < build.steps.size(); ++i) {
    const auto& step = build.steps[i];
    if (i < desired.layers.size()) {
      desired.doneCommands += step.commands;
    } else {
      desired.steps.push_back({i, step.commands, step.sourceDigest});
    }
  }
  std::reverse(desired.layers.begin(), desired.layers.end());
}

model::NodeWork NodeWorkService::work(const std::string& nodeNameOrId) {
  const auto lock = store_.lock();  // one moment's view
  const auto node = store_.nodes().ensure(nodeNameOrId);
  model::NodeWork work;
  work.revision = store_.revision();
  work.certified = true;
  work.nodeId = node.id;
  std::map<std::string, model::PlanLimits> plans;
  for (const auto& plan : store_.plans().list({"", 1'000'000})) plans[plan.name] = plan.limits;
  const auto rolling = rollingTenants();
  std::map<std::string, model::PlanLimits> limitsOf;
  std::map<std::string, std::string> namesOf;
  const auto throttles = store_.throttles().all();
  for (const auto& tenant : store_.tenants().list({"", 1'000'000})) {
    auto& limits = limitsOf[tenant.id] = plans[tenant.plan];
    if (const auto slow = throttles.find(tenant.id); slow != throttles.end())
      limits.networkBitsPerSecond = std::min(limits.networkBitsPerSecond, slow->second);
    // For as long as a rollout goes beyond the plan, so does the tenant's group.
    if (limits.surgePercent > 0 && rolling.contains(tenant.id)) {
      const auto held = store_.instances().use(tenant.id).memoryBytes;
      const auto more = std::min(held, store::withSurge(limits).memoryBytes);
      if (more > limits.memoryBytes) {
        if (limits.memoryHighBytes != 0) limits.memoryHighBytes += more - limits.memoryBytes;
        limits.memoryBytes = more;
      }
    }
    namesOf[tenant.id] = tenant.name;
    work.tenants.push_back(desiredTenant(tenant, limits));
  }
  std::map<std::string, model::App> apps;
  std::set<std::string> keep;
  for (auto& app : store_.apps().all()) {
    apps.emplace(app.id, std::move(app));
  }
  // Every image that is kept: on a host with the control plane the node's launcher has the one copy of it.
  for (auto& digest : store_.releases().digestsInUse()) keep.insert(std::move(digest));
  std::map<std::pair<std::string, std::int64_t>, model::Release> releases;
  std::map<std::pair<std::string, std::int64_t>, std::map<std::string, std::string>> environments;
  std::map<std::string, model::CallList> lists;
  for (const auto& record : store_.instances().all()) {
    const auto& instance = record.instance;
    if (instance.nodeId != node.id || record.kind != store::InstanceKind::service) continue;
    const auto key = std::pair(instance.appId, instance.release);
    if (!releases.contains(key)) {
      releases[key] = store_.releases().get(instance.appId, instance.release);
      environments[key] = store_.environments().values(instance.appId, instance.release);
    }
    const auto& release = releases[key];
    keep.insert({release.slugDigest, release.baseDigest});
    work.instances.push_back(desiredInstance(record, apps[instance.appId], release, environments[key]));
    work.instances.back().healthHost = hostOf(apps[instance.appId].name, namesOf[instance.tenantId], appsDomain_);
    if (!lists.contains(instance.appId)) lists[instance.appId] = appCallList(store_, instance.appId);
    work.instances.back().callList = lists[instance.appId];
  }
  for (const auto& build : store_.builds().unfinished()) {
    if (build.nodeId != node.id || build.state != model::BuildState::running) continue;
    model::DesiredBuild desired;
    desired.id = build.id;
    desired.tenantId = build.tenantId;
    desired.appId = build.appId;
    desired.sourceDigest = build.sourceDigest;
    desired.baseDigest = build.baseDigest;
    desired.commands = build.manifest.buildCommands;
    desired.environment = build.environment;
    desired.limits = buildLimits(limitsOf[build.tenantId]);
    desired.timeoutSeconds = limitsOf[build.tenantId].buildSeconds;
    desired.address = build.address;
    desired.callList = buildCallList(store_, build.appId);
    addSteps(build, desired);
    keep.insert({build.sourceDigest, build.baseDigest});
    work.builds.push_back(std::move(desired));
  }
  work.keepBlobs.assign(keep.begin(), keep.end());
  return work;
}

std::set<std::string> NodeWorkService::rollingTenants() const {
  std::set<std::string> tenants;
  std::map<std::string, std::int64_t> current;
  for (const auto& app : store_.apps().all()) current[app.id] = app.currentRelease;
  for (const auto& record : store_.instances().all()) {
    const auto& instance = record.instance;
    if (instance.release != current[instance.appId] || instance.state == InstanceState::draining) {
      tenants.insert(instance.tenantId);
    }
  }
  return tenants;
}

void NodeWorkService::apply(const model::NodeStatus& status) {
  store_.transact([&] {
    auto node = store_.nodes().ensure(status.nodeId);
    if (node.state == model::NodeState::down) {
      store_.nodes().setState(node.id, model::NodeState::ready);
      store_.events().append("", "", "node.ready", "node " + node.name + " reports again");
    }
    auto seen = node;
    seen.bootId = status.bootId;
    seen.observedRevision = status.observedRevision;
    seen.posture = status.posture;
    seen.lastSeen = store::now();
    if (!sameFacts(node, seen) || seen.lastSeen - node.lastSeen > kSeenResolution) store_.nodes().observe(seen);
    takeKey(node, status.signingKey);
    applyInstances(node, status);
    for (const auto& report : status.builds) applyBuild(node, report);
    takeRefused(node, status);
    for (const auto& event : status.events) {
      if (event.tenantId.empty() || store_.tenants().find(event.tenantId)) {
        store_.events().append(event.tenantId, event.app, event.kind, event.text);
      }
    }
  });
}

void NodeWorkService::takeRefused(const model::Node& node, const model::NodeStatus& status) {
  std::set<std::string> now;
  for (const auto& item : status.refused) {
    // A build whose end cannot be read has ended all the same.
    if (item.list == "builds") {
      model::BuildReport report;
      report.id = item.id;
      report.state = model::BuildState::failed;
      report.failure = {"build_failed", "the node's report cannot be read: " + item.reason};
      applyBuild(node, report);
    }
    const auto text = "node " + node.name + ": " + item.list + " " + item.id + ": " + item.reason;
    now.insert(text);
    if (toldRefused_[node.id].contains(text)) continue;
    const bool known = !item.tenantId.empty() && store_.tenants().find(item.tenantId);
    store_.events().append(known ? item.tenantId : "", "", "node.item_refused", text);
  }
  toldRefused_[node.id] = std::move(now);
}

void NodeWorkService::takeKey(const model::Node& node, const std::string& key) {
  // As a digest is: 64 hexadecimal digits. A node of an earlier version has none.
  if (!validDigest(key) || !store_.nodes().addKey({node.name, key, store::now()})) return;
  store_.events().append("", "", "node.key", "node " + node.name + " seals its readings with the key " + key);
}

void NodeWorkService::applyInstances(const model::Node& node, const model::NodeStatus& status) {
  std::map<std::string, const model::InstanceReport*> reports;
  for (const auto& report : status.instances) reports[report.id] = &report;
  std::set<std::string> unread;  // an empty one: it may be any
  for (const auto& item : status.refused) unread.insert(item.id);
  for (const auto& record : store_.instances().all()) {
    const auto& instance = record.instance;
    if (instance.nodeId != node.id || record.kind != store::InstanceKind::service) continue;
    const bool stopping = instance.desired == model::DesiredState::stop;
    const auto found = reports.find(instance.id);
    if (found != reports.end() && !found->second->calls.empty()) {
      takeCalls(store_, store_.apps().byId(instance.appId), Caller::app, found->second->calls);
    }
    if (found == reports.end()) {
      // A node that has seen the order to stop and does not know the instance has nothing left of it.
      if (unread.contains(instance.id) || unread.contains("")) continue;
      if (stopping && status.observedRevision >= record.stopRevision) store_.instances().erase(instance.id);
      continue;
    }
    if (stopping && found->second->state == InstanceState::stopped) {
      store_.instances().erase(instance.id);
      continue;
    }
    const auto next = merged(record, *found->second);
    if (differs(record, next)) store_.instances().update(next);
  }
}

void NodeWorkService::applyBuild(const model::Node& node, const model::BuildReport& report) {
  auto build = store_.builds().find(report.id);
  if (!build || build->nodeId != node.id || build->state != model::BuildState::running) return;
  if (!report.calls.empty()) takeCalls(store_, store_.apps().byId(build->appId), Caller::build, report.calls);
  takeLayers(*build, report);
  if (report.state == model::BuildState::running) {
    store_.operations().setProgress(build->operationId, "building");
  } else if (report.state == model::BuildState::succeeded && validDigest(report.slugDigest)) {
    build->slugDigest = report.slugDigest;
    for (const auto& layer : report.layers) build->layers.push_back(layer.digest);
    const auto tenant = store_.tenants().get(build->tenantId);
    try {
      std::map<std::string, std::uint64_t> images{{report.slugDigest, report.slugBytes}};
      for (const auto& layer : report.layers) images.emplace(layer.digest, layer.bytes);
      admitImages(store_, tenant, images);
    } catch (const store::QuotaExceeded& refusal) {
      retain(store_, tenant);
      return buildFailed(std::move(*build), {"image_disk_full", refusal.what()});
    }
    buildSucceeded(std::move(*build));
  } else if (report.state == model::BuildState::queued) {
    store_.operations().setProgress(build->operationId, "waiting for other builds of the host");
  } else {
    auto failure = report.failure;
    if (failure.detail.empty()) failure.detail = "the node gave no reason";
    failure.code = knownCode(failure.code);
    buildFailed(std::move(*build), failure);
  }
}

void NodeWorkService::takeLayers(const model::Build& build, const model::BuildReport& report) {
  const auto inputs = store::BuildLayers::inputsOf(build);
  for (const auto& layer : report.layers) {
    if (layer.step >= inputs.size() || !validDigest(layer.digest)) continue;
    store_.images().set(build.tenantId, layer.digest, layer.bytes);
    store_.buildLayers().put(build.appId, {inputs[layer.step], layer.digest});
  }
}

void NodeWorkService::buildSucceeded(model::Build build) {
  build.state = model::BuildState::succeeded;
  build.finishedAt = store::now();
  store_.builds().update(build);
  store_.addresses().release(build.id);
  store_.bumpRevision();
  const auto app = store_.apps().byId(build.appId);
  const auto tenant = store_.tenants().get(build.tenantId);
  store_.events().append(tenant.id, app.name, "build.succeeded", build.id);
  try {
    // Other apps of the tenant may have grown while this one was built.
    checkFormations(store_, tenant, app.id, build.manifest, app.formation, "formation");
  } catch (const store::Refusal& refusal) {
    store_.operations().fail(build.operationId, {refusal.code(), refusal.what()});
    return;
  }
  model::Release release;
  release.appId = app.id;
  release.buildId = build.id;
  release.baseDigest = build.baseDigest;
  release.slugDigest = build.slugDigest;
  release.layers = build.layers;
  release.manifest = build.manifest;
  auto environment = store_.environments().get(app.id, app.currentRelease);
  release.config = std::move(environment.config);
  release.description = "deploy";
  release.createdBy = store_.builds().createdBy(build.id);
  beginRelease(store_, app, std::move(release), environment.secrets, build.operationId, Carries::environment);
}

void NodeWorkService::buildFailed(model::Build build, const model::Failure& failure) {
  build.state = model::BuildState::failed;
  build.failure = failure;
  build.finishedAt = store::now();
  store_.builds().update(build);
  store_.addresses().release(build.id);
  store_.operations().fail(build.operationId, failure);
  retain(store_, store_.tenants().get(build.tenantId));  // its steps have left layers
  store_.events().append(build.tenantId, store_.apps().byId(build.appId).name, "build.failed",
                         failure.code + ": " + failure.detail);
  store_.bumpRevision();
}

}  // namespace cloister::reconcile
