#include "controlplane/node/agent.h"

#include <spdlog/spdlog.h>

#include <algorithm>

#include "controlplane/node/agent_record.h"
#include "sandbox/base/counters.h"

namespace cloister::node {
namespace {

constexpr std::uint64_t kWakeToken = 0;
constexpr std::uint64_t kStopToken = 1;
constexpr Millis kGarbagePause = 60'000;
constexpr Millis kCallsPause = 2'000;
constexpr Millis kDisksPause = 5'000;
constexpr std::int64_t kKeepLogsSeconds = 24 * 3600;
// Of instances that are stopped; those that run have their own bound (log_store.h).
constexpr std::uint64_t kTenantLogBytes = 256ULL << 20U;

}  // namespace

Millis nowMillis() {
  return static_cast<Millis>(counters::bootNanos() / 1'000'000);
}

Agent::Agent(Config config, Launcher& launcher) : config_(std::move(config)), launcher_(launcher), server_(config_) {}

Agent::~Agent() = default;

void Agent::post(Task task) {
  {
    const std::lock_guard lock(tasksMutex_);
    tasks_.push_back(std::move(task));
  }
  wakeup_.signal();
}

void Agent::runTasks() {
  std::vector<Task> tasks;
  {
    const std::lock_guard lock(tasksMutex_);
    tasks.swap(tasks_);
  }
  for (const auto& task : tasks) task();
}

int Agent::nextWait() const {
  const Millis now = nowMillis();
  Millis next = records_.empty() ? garbageAt_ : std::min(garbageAt_, disksAt_);
  for (const auto& [id, record] : records_) {
    if (record->spec.instance.callList.others != model::OtherCalls::open) next = std::min(next, callsAt_);
    if (const auto at = record->machine.wakeAt()) next = std::min(next, *at);
  }
  return static_cast<int>(std::clamp<Millis>(next - now, 0, 10'000));
}

void Agent::run(int stop) {
  if (auto done = poller_.add(stop, kStopToken, streams::Poller::Trigger::level); !done) {
    spdlog::critical("{}", done.error().message());
    return;
  }
  for (;;) {
    auto tokens = poller_.wait(nextWait());
    if (!tokens) {
      spdlog::critical("{}", tokens.error().message());
      return;
    }
    for (const auto token : *tokens) {
      if (token == kStopToken) {
        meter_->readTenants();
        meter_->stop();
        return;
      }
      if (token == kWakeToken) wakeup_.drain();
      const auto watched = tokens_.find(token);
      if (watched == tokens_.end()) continue;
      const auto record = records_.find(watched->second);
      if (record != records_.end()) exited(*record->second);
    }
    runTasks();
    const Millis now = nowMillis();
    for (const auto& [id, record] : records_) {
      if (const auto at = record->machine.wakeAt(); at && *at <= now) pump(*record);
    }
    if (now >= callsAt_) {
      callsAt_ = now + kCallsPause;
      for (const auto& [id, record] : records_) {
        if (record->container && record->spec.instance.callList.others != model::OtherCalls::open) readCalls(*record);
      }
    }
    if (now >= disksAt_) {
      disksAt_ = now + kDisksPause;
      for (const auto& [id, record] : records_) lookAtDisk(*record);
    }
    if (now >= garbageAt_) {
      garbageAt_ = now + kGarbagePause;
      collectGarbage();
    }
    if (dirty_) publish();
  }
}

void Agent::apply(const model::NodeWork& work) {
  const Authority authority = authorityOf(work);
  spdlog::info("work {}: {} instances, {} builds, {} sessions{}", work.revision, work.instances.size(),
               work.builds.size(), work.sessions.size(), authority == Authority::full ? "" : ", not certified");
  nodeId_ = work.nodeId;
  observed_ = work.revision;
  dirty_ = true;
  tellRefused(work);
  applyTenants(work);
  std::set<std::string> known;
  for (const auto& [id, record] : records_) {
    known.insert(id);
    if (authority == Authority::full) record->named = false;
  }
  for (const auto& instance : work.instances) {
    const auto tenant = tenants_.find(instance.tenantId);
    if (tenant == tenants_.end() || !validInstanceId(instance.id)) {
      spdlog::error("instance {}: no such tenant, or no good id", instance.id);
      continue;
    }
    applyInstance(instance, tenant->second);
  }
  const Millis now = nowMillis();
  for (const auto& id : stopsOf(known, work)) {
    auto& record = *records_.at(id);
    record.machine.want(model::DesiredState::stop, now);
    pump(record);
  }
  certified_ = authority == Authority::full;
  if (certified_) namedBlobs_.clear();
  namedBlobs_.insert(work.keepBlobs.begin(), work.keepBlobs.end());
  for (const auto& instance : work.instances) namedBlobs_.insert(instance.layers.begin(), instance.layers.end());
  for (const auto& build : work.builds) {
    namedBlobs_.insert(build.baseDigest);
    namedBlobs_.insert(build.layers.begin(), build.layers.end());
  }
  if (certified_) removeUnknown();
}

void Agent::tellRefused(const model::NodeWork& work) {
  std::set<std::string> now;
  for (const auto& item : work.refused) {
    const auto text = item.list + " " + item.id + ": " + item.reason;
    now.insert(text);
    if (toldRefused_.contains(text)) continue;
    spdlog::error("work {}: left out: {}", work.revision, text);
    reporter_->event({item.tenantId, "", "node.item_refused", text});
  }
  toldRefused_ = std::move(now);
}

void Agent::applyTenants(const model::NodeWork& work) {
  if (authorityOf(work) == Authority::full) namedTenants_.clear();
  std::map<TenantIndex, std::string> indexes;
  for (const auto& item : work.refused) namedTenants_.insert(item.id);
  for (const auto& tenant : work.tenants) {
    if (!validTenant(tenant.index)) {
      spdlog::error("tenant {}: index {} is not possible", tenant.id, tenant.index);
      continue;
    }
    namedTenants_.insert(tenant.id);
    const auto known = tenants_.find(tenant.id);
    const bool changed = known != tenants_.end() && !(known->second.limits == tenant.limits);
    tenants_[tenant.id] = tenant;
    runtime_->tenants().know(tenant);
    if (!changed) continue;
    workers_->submit([this, tenant] {
      auto done = runtime_->tenants().ensure(tenant);
      if (!done) spdlog::error("tenant {}: new limits: {}", tenant.id, done.error().message());
    });
  }
  for (const auto& [id, tenant] : tenants_) indexes[tenant.index] = id;
  meter_->setTenants(indexes);
  reporter_->know(indexes);
}

void Agent::applyInstance(const model::DesiredInstance& instance, const model::DesiredTenant& tenant) {
  const auto known = records_.find(instance.id);
  if (known == records_.end()) {
    const auto earlier = InstanceDirectory(config_.instances(), instance.id).attempt();
    Record& record = addRecord({tenant, instance}, earlier ? earlier->number : 0);
    record.machine.want(instance.desired, nowMillis());
    if (instance.desired == model::DesiredState::run) record.directory.unmarkStopped();
    pump(record);
    return;
  }
  Record& record = *known->second;
  record.named = true;
  record.spec = {tenant, instance};
  setTarget(record);
  if (instance.desired == model::DesiredState::run) {
    if (record.settled) {
      record.settled = false;
      record.directory.unmarkStopped();
    }
    record.machine.want(model::DesiredState::run, nowMillis());
    pump(record);
  }
}

void Agent::removeUnknown() {
  for (const auto& [id, container] : unknown_) {
    spdlog::info("container {} belongs to nothing: removed", id);
    workers_->submit([this, name = id, held = container] {
      auto done = runtime_->finish(name, held->descriptor(launcher::DescriptorKind::pid));
      if (!done) spdlog::warn("{}: {}", name, done.error().message());
    });
  }
  unknown_.clear();
}

void Agent::collectGarbage() {
  if (!certified_) return;
  std::vector<StoppedLogs> stopped;
  for (const auto& id : listInstances(config_.instances())) {
    const auto record = records_.find(id);
    if (record != records_.end() && (record->second->named || !record->second->settled)) continue;
    const InstanceDirectory directory(config_.instances(), id);
    const auto seconds = directory.stoppedSeconds();
    if (!seconds) directory.markStopped();
    if (seconds.value_or(0) >= kKeepLogsSeconds) {
      directory.destroy();
    } else if (const auto spec = directory.spec()) {
      stopped.push_back({id, spec->instance.tenantId, seconds.value_or(0), directory.logBytes()});
    }
  }
  for (const auto& id : logsBeyond(std::move(stopped), kTenantLogBytes)) {
    spdlog::info("logs of {} deleted: its tenant has too many", id);
    InstanceDirectory(config_.instances(), id).destroy();
  }
  removeIdleTenants();
  auto named = namedBlobs_;
  // The server may not have heard of these yet.
  for (const auto& report : builds_->reports()) {
    named.insert(report.slugDigest);
    for (const auto& layer : report.layers) named.insert(layer.digest);
  }
  for (const auto& [id, record] : records_) {
    if (!record->settled) named.insert(record->spec.instance.layers.begin(), record->spec.instance.layers.end());
  }
  workers_->submit([this, named] {
    for (const auto& digest : layers_->collect(named, LayerCache::Clock::now()))
      spdlog::info("layer {} deleted", digest);
  });
}

void Agent::removeIdleTenants() {
  std::set<std::string> busy = namedTenants_;
  for (const auto& [id, record] : records_) {
    if (!record->settled) busy.insert(record->spec.tenant.id);
  }
  for (auto it = tenants_.begin(); it != tenants_.end();) {
    if (busy.contains(it->first) || builds_->uses(it->first) || sessions_->uses(it->first)) {
      ++it;
      continue;
    }
    workers_->submit([this, tenant = it->second] {
      auto done =
          meter_->removeTenant(tenant.index, [this, &tenant] { return runtime_->tenants().remove(tenant.index); });
      if (done) {
        spdlog::info("tenant {} removed", tenant.id);
        return;
      }
      spdlog::warn("tenant {}: {}", tenant.id, done.error().message());
      post([this, tenant] { tenants_.try_emplace(tenant.id, tenant); });
    });
    it = tenants_.erase(it);
  }
}

void Agent::publish() {
  dirty_ = false;
  ++version_;
  model::NodeStatus status;
  status.nodeId = nodeId_;
  status.bootId = bootId_;
  status.signingKey = signingKey_;
  status.observedRevision = observed_;
  for (const auto& [id, record] : records_) {
    model::InstanceReport report;
    report.id = id;
    report.state = record->machine.state();
    report.restarts = record->machine.restarts();
    report.reason = record->machine.reason();
    report.changedAt = record->changedAt;
    report.nextStartAt = record->nextStartAt;
    report.calls = numbersOf(record->calls);
    status.instances.push_back(std::move(report));
    if (record->settled && record->settledVersion == 0) record->settledVersion = version_;
  }
  status.builds = builds_->reports();
  if (!nodeId_.empty()) reporter_->update(std::move(status), version_);
}

}  // namespace cloister::node
