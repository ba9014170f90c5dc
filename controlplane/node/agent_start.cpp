#include <spdlog/spdlog.h>

#include <chrono>
#include <thread>

#include "controlplane/node/agent.h"
#include "controlplane/node/agent_record.h"
#include "sandbox/base/counters.h"
#include "sandbox/base/files.h"

namespace cloister::node {
namespace {

using launcher::DescriptorKind;
constexpr unsigned kWorkers = 6;
constexpr int kRecoverTries = 80;  // 20 s: both may be starting

}  // namespace

Status Agent::makeDirectories() const {
  for (const auto& path : {config_.directory(), config_.layers(), config_.instances(), config_.builds()}) {
    if (auto made = files::makeDirectories(path, 0700); !made) return made;
  }
  return {};
}

Status Agent::openParts() {
  auto boot = counters::bootId();
  if (!boot) return boot.error();
  bootId_ = std::move(boot).value();
  auto poller = streams::Poller::make();
  if (!poller) return poller.error();
  poller_ = std::move(poller).value();
  auto wakeup = streams::Wakeup::make();
  if (!wakeup) return wakeup.error();
  wakeup_ = std::move(wakeup).value();
  if (auto done = poller_.add(wakeup_.fd(), 0, streams::Poller::Trigger::level); !done) return done;
  const auto key = metering::SigningKey::open(config_.signingKey());
  if (!key) return key.error();
  signingKey_ = key->publicKey();
  auto meter = MeterLoop::open(config_.spool(), config_.name, bootId_, *key, launcher_);
  if (!meter) return meter.error();
  meter_ = std::move(meter).value();
  layers_ = std::make_unique<LayerCache>(
      config_.layers(), config_.layerStore,
      [this](const std::string& digest, const BlobSink& sink) { server_.getBlob(digest, sink); }, launcher_);
  runtime_ = std::make_unique<Runtime>(launcher_, *layers_, *meter_);
  auto logs = LogPump::start();
  if (!logs) return logs.error();
  logs_ = std::move(logs).value();
  auto health = HealthProber::start();
  if (!health) return health.error();
  health_ = std::move(health).value();
  workers_ = std::make_unique<Workers>(kWorkers);
  const auto told = [this](std::uint64_t version) {
    post([this, version] {
      // A stopped instance that no work names is told once; one that is named is told until the server drops it.
      std::erase_if(records_, [version](const auto& item) {
        const Record& record = *item.second;
        return record.settled && !record.named && record.settledVersion != 0 && record.settledVersion <= version;
      });
    });
  };
  reporter_ = std::make_unique<Reporter>(server_, launcher_, meter_->spool(), told,
                                         [this] { return runtime_->tenants().pressures(); });
  return {};
}

Status Agent::start() {
  if (auto done = makeDirectories(); !done) return done;
  if (auto done = openParts(); !done) return done;
  source_ = std::make_unique<WorkSource>(server_, config_.work());
  builds_ = std::make_unique<Builds>(config_.builds(), *runtime_, server_, [this] { post([this] { dirty_ = true; }); });
  sessions_ = std::make_unique<Sessions>(Sessions::Places{config_.sessions(), config_.instances()}, *runtime_, server_,
                                         [this](const std::string& id) { return target(id); });
  if (auto done = adoptAll(); !done) return done;
  sessions_->endLeft();
  meter_->setGroupCpu([this] { return runtime_->tenants().groupCpu(); });
  meter_->start();
  reporter_->start();
  source_->start([this](model::NodeWork work) {
    post([this, work = std::move(work)] {
      apply(work);
      builds_->apply(work, authorityOf(work));
      sessions_->apply(work);
    });
  });
  return {};
}

Metered Agent::meteredUnknown(const sandbox::Container& container, const std::optional<model::NodeWork>& cached) const {
  Metered whose;
  whose.instanceId = container.launched.instance;
  if (!cached) return whose;
  for (const auto& tenant : cached->tenants) {
    if (tenant.index == container.launched.tenant) whose.tenantId = tenant.id;
  }
  for (const auto& build : cached->builds) {
    const auto& name = container.launched.instance;
    if (name != build.id && !name.starts_with(build.id + "-")) continue;  // its steps and their freezing too
    whose = {build.tenantId, build.appId, build.id, build.limits.memoryBytes};
  }
  return whose;
}

Status Agent::adoptAll() {
  auto recovered = launcher_.recover();
  for (int again = 0; !recovered && again < kRecoverTries; ++again) {
    if (again == 0) spdlog::warn("launcher away: {}", recovered.error().message());
    std::this_thread::sleep_for(std::chrono::milliseconds(250));
    recovered = launcher_.recover();
  }
  if (!recovered) return recovered.error();
  const auto cached = source_->cached();
  std::map<std::string, std::shared_ptr<sandbox::Container>> containers;
  std::vector<Alive> alive;
  for (auto& container : recovered.value()) {
    const int pidfd = container.descriptor(DescriptorKind::pid);
    alive.push_back({container.launched.instance, pidfd >= 0 && !streams::ended(pidfd)});
    auto held = std::make_shared<sandbox::Container>(std::move(container));
    containers[held->launched.instance] = held;
  }
  std::map<std::string, Kept> kept;
  for (const auto& id : listInstances(config_.instances())) {
    const InstanceDirectory directory(config_.instances(), id);
    kept[id] = {directory.attempt(), directory.status(), directory.stoppedSeconds().has_value()};
  }
  const Adoptions decided = decideAdoptions(kept, alive, bootId_);
  for (const auto& [id, adoption] : decided.instances) adopt(id, adoption, containers, cached);
  for (const auto& name : decided.unknown) unknown_[name] = containers[name];
  for (const auto& [name, container] : unknown_) {
    const Metered whose = meteredUnknown(*container, cached);
    if (whose.tenantId.empty()) continue;
    if (auto done = meter_->add(*container, whose, metering::Origin::recovered); !done) {
      spdlog::warn("{}: not metered yet: {}", name, done.error().message());
    }
  }
  spdlog::info("{} containers found, {} of them unknown", alive.size(), unknown_.size());
  if (cached) apply(*cached);
  // The launcher knows them, but this process has no hold on their groups yet.
  for (const auto& [id, tenant] : tenants_) {
    workers_->submit([this, tenant = tenant] {
      auto done = runtime_->tenants().ensure(tenant);
      if (!done) spdlog::warn("tenant {}: {}", tenant.id, done.error().message());
    });
  }
  return {};
}

void Agent::adopt(const std::string& id, const Adoption& adoption,
                  std::map<std::string, std::shared_ptr<sandbox::Container>>& containers,
                  const std::optional<model::NodeWork>& cached) {
  const InstanceDirectory directory(config_.instances(), id);
  const auto spec = directory.spec();
  const bool there = adoption.fate == Fate::adopt || adoption.fate == Fate::finish;
  if (!spec) {
    if (there) unknown_[adoption.container] = containers[adoption.container];
    return;
  }
  // Without a container, only work that names it makes it come back.
  bool named = false;
  if (cached) {
    for (const auto& instance : cached->instances) named = named || instance.id == id;
  }
  if (adoption.fate == Fate::leaveStopped || (!there && !named)) return;
  tenants_.try_emplace(spec->tenant.id, spec->tenant);
  Record& record = addRecord(*spec, adoption.attempt);
  const Millis now = nowMillis();
  if (there) {
    record.container = containers[adoption.container];
    if (auto done = attachLogs(record); !done) spdlog::error("{}: {}", id, done.error().message());
    if (auto done = meter_->add(*record.container, meteredAs(spec->instance), metering::Origin::recovered); !done) {
      spdlog::warn("{}: not metered yet: {}", id, done.error().message());
    }
    const auto end = adoption.fate == Fate::finish ? directory.endedAt() : std::nullopt;
    if (end) meter_->ended(adoption.container, *end);
  }
  switch (adoption.fate) {
    case Fate::adopt:
      record.ready = adoption.state == AttemptState::ready;
      record.machine.adopt(now, record.ready ? InstanceMachine::Known::ready : InstanceMachine::Known::starting);
      watch(record);
      break;
    case Fate::finish:
    case Fate::ended:
      record.store->system(describe({.status = adoption.reason}));
      note(record, "instance.crashed", spec->instance.process + ": " + describe({.status = adoption.reason}));
      record.machine.adoptEnded(now, describe({.status = adoption.reason}));
      break;
    case Fate::startAnew:
    case Fate::leaveStopped:
      break;
  }
  pump(record);
}

}  // namespace cloister::node
