#include "controlplane/reconcile/reconciler.h"

#include <spdlog/spdlog.h>

#include <algorithm>
#include <exception>
#include <set>

#include "controlplane/reconcile/app_rollout.h"
#include "controlplane/reconcile/call_profiles.h"
#include "controlplane/reconcile/node_work.h"
#include "controlplane/reconcile/placement.h"

namespace cloister::reconcile {
namespace {

using model::InstanceState;

// A build that its node says nothing about: long after the node itself should have ended it.
constexpr model::Micros kBuildGrace = 3'600'000'000;
constexpr model::Micros kHour = 3'600'000'000;
constexpr model::Micros kKeyLife = 24 * kHour;

template <typename T>
std::map<std::string, T> byId(std::vector<T> list) {
  std::map<std::string, T> map;
  for (auto& item : list) map.emplace(item.id, std::move(item));
  return map;
}

}  // namespace

struct Reconciler::World {
  std::map<std::string, model::Tenant> tenants;
  std::map<std::string, model::PlanLimits> plans;
  std::vector<model::Node> nodes;
  std::map<std::string, std::vector<store::InstanceRecord>> instances;  // by app, services only
  std::map<std::string, std::vector<store::Rollout>> rollouts;          // by app
  Placement placement;
  std::set<std::string> stopped;       // apps out of service altogether
  std::vector<std::string> converged;  // apps
};

Reconciler::Reconciler(store::Store& store, Options options, ApplyRoutes edge)
    : store_(store), options_(std::move(options)), edge_(std::move(edge)) {}

void Reconciler::step(model::Micros now) {
  if (firstStep_ == 0) firstStep_ = now;
  store_.transact([&] {
    checkNodes(now);
    assignBuilds(now);
  });
  World world = store_.transact([&] {
    auto seen = look();
    for (const auto& app : store_.apps().all()) stepApp(seen, app, now);
    return seen;
  });
  const bool live = edge_(routes());
  store_.transact([&] {
    if (live) afterEdge(world, now);
    finishRemovals();
    if (now - lastCleanup_ > kHour) {
      lastCleanup_ = now;
      store_.events().dropBefore(now - options_.eventRetention);
      store_.idempotencyKeys().dropBefore(now - kKeyLife);
    }
  });
}

Reconciler::World Reconciler::look() {
  auto nodes = store_.nodes().list({"", 1'000'000});
  const auto instances = store_.instances().all();
  World world{byId(store_.tenants().list({"", 1'000'000})), {}, nodes, {}, {}, Placement(nodes, instances), {}, {}};
  for (const auto& plan : store_.plans().list({"", 1'000'000})) world.plans[plan.name] = plan.limits;
  for (const auto& record : instances) {
    if (record.kind == store::InstanceKind::service) world.instances[record.instance.appId].push_back(record);
  }
  for (auto& rollout : store_.rollouts().all()) world.rollouts[rollout.appId].push_back(std::move(rollout));
  return world;
}

void Reconciler::checkNodes(model::Micros now) {
  for (const auto& node : store_.nodes().list({"", 1'000'000})) {
    // Silence counts from our own start on: while we were away nobody could report.
    const auto since = std::max(node.lastSeen, firstStep_);
    if (node.state != model::NodeState::ready || now - since <= options_.nodeTimeout) continue;
    store_.nodes().setState(node.id, model::NodeState::down);
    store_.events().append("", "", "node.down", "node " + node.name + " is silent; what runs there goes on");
  }
}

bool Reconciler::reuse(const model::Build& build, model::Micros now) {
  if (build.reuse == model::Reuse::nothing || !options_.hasImage) return false;
  // Its commands are to be seen.
  if (buildCallList(store_, build.appId).others != model::OtherCalls::open) return false;
  for (const auto& earlier : store_.builds().alike(build)) {
    auto image = earlier.layers;
    image.push_back(earlier.slugDigest);
    if (!std::all_of(image.begin(), image.end(), options_.hasImage)) continue;
    auto taken = build;
    taken.slugDigest = earlier.slugDigest;
    taken.layers = earlier.layers;
    taken.reused = earlier.reused.empty() ? earlier.id : earlier.reused;
    taken.finishedAt = now;
    NodeWorkService(store_).buildSucceeded(std::move(taken));
    return true;
  }
  return false;
}

void Reconciler::assignBuilds(model::Micros now) {
  auto builds = store_.builds().unfinished();
  if (builds.empty()) return;
  std::set<std::string> busy;                // one build at a time and tenant: its share of the plan is for one
  std::map<std::string, std::size_t> ahead;  // by tenant: builds that have not ended
  std::set<std::string> waiting;             // apps with an earlier build that has not ended
  for (auto& build : builds) {
    if (build.state != model::BuildState::running) continue;
    const auto plan = store_.plans().get(store_.tenants().get(build.tenantId).plan);
    if (now - build.createdAt <= static_cast<model::Micros>(plan.limits.buildSeconds) * 1'000'000 + kBuildGrace) {
      busy.insert(build.tenantId);
      waiting.insert(build.appId);
      ++ahead[build.tenantId];
      continue;
    }
    build.state = model::BuildState::failed;
    build.failure = {"build_timeout", "its node did not report its end"};
    build.finishedAt = now;
    store_.builds().update(build);
    store_.addresses().release(build.id);
    store_.operations().fail(build.operationId, build.failure);
    store_.bumpRevision();
  }
  const Placement placement(store_.nodes().list({"", 1'000'000}), store_.instances().all());
  for (auto& build : builds) {
    if (build.state != model::BuildState::queued) continue;
    // An app's builds end in the order in which they were asked for: the last one asked for is what is to run.
    const bool first = !waiting.contains(build.appId);
    if (first && reuse(build, now)) continue;
    waiting.insert(build.appId);
    const auto earlier = ahead[build.tenantId]++;
    if (busy.contains(build.tenantId)) {
      store_.operations().setProgress(build.operationId, "waiting for " + std::to_string(earlier) +
                                                             (earlier == 1 ? " earlier build" : " earlier builds"));
      continue;
    }
    const auto tenant = store_.tenants().get(build.tenantId);
    const auto node = placement.choose();
    if (node.empty()) {
      store_.operations().setProgress(build.operationId, "waiting for a node");
      continue;
    }
    try {
      build.address = store_.addresses().allocate(node, tenant.index, build.id);
    } catch (const store::Refusal& refusal) {
      store_.operations().setProgress(build.operationId, refusal.what());
      continue;
    }
    // A layer that was lost is made again.
    for (const auto& layer : store_.buildLayers().of(build.appId)) {
      const bool lost = options_.hasImage && !options_.hasImage(layer.digest);
      if (lost) store_.buildLayers().erase(build.appId, layer.inputs);
    }
    build.nodeId = node;
    build.state = model::BuildState::running;
    busy.insert(build.tenantId);
    store_.builds().update(build);
    store_.operations().setProgress(build.operationId, "building");
    store_.bumpRevision();
  }
}

const model::Manifest* Reconciler::manifestOf(const std::string& appId, std::int64_t release) {
  if (release == 0) return nullptr;
  const auto key = std::pair(appId, release);
  auto found = manifests_.find(key);
  if (found == manifests_.end()) found = manifests_.emplace(key, store_.releases().get(appId, release).manifest).first;
  return &found->second;
}

void Reconciler::stepApp(World& world, const model::App& app, model::Micros now) {
  const auto& tenant = world.tenants.at(app.tenantId);
  AppRollout rollout(store_, world.placement, app, manifestOf(app.id, app.currentRelease), world.plans[tenant.plan],
                     world.instances[app.id], world.rollouts[app.id], world.nodes);
  if (tenant.state != model::TenantState::active || store_.apps().removing(app.id)) {
    world.stopped.insert(app.id);
    rollout.stopAll();
    return;
  }
  rollout.step({options_.readyTimeout, options_.restartsToFail, options_.settle}, now);
  if (rollout.converged()) world.converged.push_back(app.id);
}

void Reconciler::afterEdge(const World& world, model::Micros now) {
  for (auto record : store_.instances().all()) {
    auto& instance = record.instance;
    if (instance.state != InstanceState::draining || instance.desired == model::DesiredState::stop) continue;
    // The edge may have sent it requests only if it was ready once.
    const bool mayServe = instance.port != 0 && record.readyAt != 0;
    const bool atOnce = !mayServe || world.stopped.contains(instance.appId);
    if (record.drainedAt == 0) {
      record.drainedAt = now;
      if (!atOnce) store_.instances().update(record);
    }
    if (!atOnce && now - record.drainedAt < options_.drainTime) continue;
    instance.desired = model::DesiredState::stop;
    record.stopRevision = store_.bumpRevision();
    store_.instances().update(record);
  }
  for (const auto& appId : world.converged) {
    const auto app = store_.apps().byId(appId);
    for (const auto& rollout : store_.rollouts().ofApp(appId)) {
      if (rollout.failure.failed()) continue;
      // One that began after this step looked has to be looked at first.
      const auto known = world.rollouts.find(appId);
      if (known == world.rollouts.end() ||
          std::none_of(known->second.begin(), known->second.end(),
                       [&](const auto& seen) { return seen.operationId == rollout.operationId; })) {
        continue;
      }
      // Of several that lived on in one release, each ends with that.
      store_.releases().setState(appId, app.currentRelease, model::ReleaseState::released);
      store_.operations().succeed(rollout.operationId, "v" + std::to_string(app.currentRelease));
      store_.rollouts().end(rollout.operationId);
    }
  }
}

void Reconciler::finishRemovals() {
  for (const auto& rollout : store_.rollouts().all()) {
    if (rollout.release != 0) continue;
    const auto instances = store_.instances().ofApp(rollout.appId, {"", 1'000'000});
    if (std::any_of(instances.begin(), instances.end(),
                    [](const auto& record) { return record.kind == store::InstanceKind::service; })) {
      continue;
    }
    const auto app = store_.apps().byId(rollout.appId);
    store_.apps().erase(app.id);
    store_.operations().succeed(rollout.operationId, "");
    store_.events().append(app.tenantId, app.name, "app.removed", "");
  }
  for (const auto& tenant : store_.tenants().list({"", 1'000'000})) {
    if (tenant.state != model::TenantState::deleting || !store_.apps().list(tenant.id).empty()) continue;
    for (const auto& operation : store_.operations().list(tenant.id)) {
      if (operation.kind == "tenant.remove") store_.operations().succeed(operation.id, "");
    }
    store_.tenants().erase(tenant.id);
    store_.events().append(tenant.id, "", "tenant.removed", tenant.name);
  }
}

// Whether requests may be left to it while others can have them: it or its release has shown that it stays ready.
bool Reconciler::proven(const store::InstanceRecord& record) const {
  const auto& instance = record.instance;
  return record.settledAt != 0 ||
         store_.releases().state(instance.appId, instance.release) == model::ReleaseState::released;
}

edge::Routes Reconciler::routes() const {
  const auto lock = store_.lock();
  edge::Routes routes;
  const auto tenants = byId(store_.tenants().list({"", 1'000'000}));
  const auto apps = byId(store_.apps().all());
  std::map<std::string, std::vector<store::InstanceRecord>> ready;  // by app
  std::set<std::pair<std::string, std::int64_t>> provenReleases;
  for (auto& record : store_.instances().all()) {
    const auto& instance = record.instance;
    if (record.kind != store::InstanceKind::service || instance.port == 0) continue;
    if (instance.state != InstanceState::running || instance.desired != model::DesiredState::run) continue;
    if (proven(record)) provenReleases.emplace(instance.appId, instance.release);
    ready[instance.appId].push_back(std::move(record));
  }
  std::map<std::string, std::vector<edge::Backend>> backends;
  for (const auto& [appId, records] : ready) {
    const auto trusted = [&](const auto& record) {
      return provenReleases.contains({record.instance.appId, record.instance.release});
    };
    // Where nothing better serves, an instance that is ready is good enough.
    const bool choose = std::any_of(records.begin(), records.end(), trusted);
    auto& list = backends[appId];
    for (const auto& record : records) {
      if (!choose || trusted(record)) list.push_back({record.instance.address, record.instance.port});
    }
    std::sort(list.begin(), list.end());
  }
  const auto routeTo = [&](const model::App& app) {
    const bool active = tenants.at(app.tenantId).state == model::TenantState::active;
    return edge::Route{app.id, app.tenantId, backends[app.id],
                       active ? edge::Absence::noInstance : edge::Absence::suspended};
  };
  for (const auto& [id, app] : apps) {
    routes[hostOf(app.name, tenants.at(app.tenantId).name, options_.appsDomain)] = routeTo(app);
  }
  for (const auto& domain : store_.domains().all()) {
    // Names under the apps' domain are given by Cloister alone: nobody takes over a neighbour's.
    if (domain.host.ends_with("." + options_.appsDomain)) continue;
    routes[domain.host] = routeTo(apps.at(domain.appId));
  }
  return routes;
}

Loop::Loop(store::Store& store, Reconciler& reconciler) : store_(store), reconciler_(reconciler) {
  thread_ = std::thread([this] { run(); });
}

Loop::~Loop() {
  stop();
}

void Loop::stop() {
  stopping_ = true;
  if (thread_.joinable()) thread_.join();
}

void Loop::run() {
  while (!stopping_) {
    const auto seen = store_.changes();
    try {
      reconciler_.step(store::now());
    } catch (const std::exception& error) {
      spdlog::error("reconcile: {}", error.what());
      std::this_thread::sleep_for(std::chrono::seconds(1));
    }
    // In quarters of a second, so that stop() is not kept waiting.
    for (int i = 0; i < 4 && !stopping_; ++i) {
      if (store_.waitChange(seen, std::chrono::milliseconds(250)) != seen) break;
    }
  }
}

}  // namespace cloister::reconcile
