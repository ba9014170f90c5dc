#include "controlplane/reconcile/app_rollout.h"

#include <algorithm>
#include <set>
#include <utility>

#include "controlplane/reconcile/node_work.h"
#include "controlplane/reconcile/quota.h"

namespace cloister::reconcile {
namespace {

using model::InstanceState;
using Record = store::InstanceRecord;

bool serving(const Record& record) {
  return record.instance.state == InstanceState::running;
}
bool draining(const Record& record) {
  return record.instance.state == InstanceState::draining;
}

// Those that serve nobody first, then the youngest.
void bySmallestLoss(std::vector<Record*>& records) {
  std::sort(records.begin(), records.end(), [](const Record* left, const Record* right) {
    if (serving(*left) != serving(*right)) return !serving(*left);
    return left->instance.id > right->instance.id;
  });
}

std::string whyOf(const Record& record) {
  const auto& instance = record.instance;
  std::string why = instance.process + ": ";
  why += instance.reason.empty() ? std::string("not ready, state ") + model::name(instance.state) : instance.reason;
  if (instance.restarts > 0) why += " (" + std::to_string(instance.restarts) + " restarts)";
  return why;
}

}  // namespace

AppRollout::AppRollout(store::Store& store, Placement& placement, const model::App& app,
                       const model::Manifest* manifest, const model::PlanLimits& plan,
                       std::vector<store::InstanceRecord> instances, std::vector<store::Rollout> rollouts,
                       const std::vector<model::Node>& nodes)
    : store_(store),
      placement_(placement),
      app_(app),
      manifest_(manifest),
      plan_(plan),
      instances_(std::move(instances)),
      rollouts_(std::move(rollouts)) {
  for (const auto& node : nodes) {
    if (node.state == model::NodeState::draining) drainingNodes_.push_back(node.id);
  }
}

void AppRollout::stopAll() {
  for (auto& record : instances_) {
    if (!draining(record)) drain(record);
  }
}

void AppRollout::step(const RolloutLimits& limits, model::Micros now) {
  if (giveUpWhenFailing(limits, now)) return;
  std::set<std::string> processes;
  if (manifest_ != nullptr) {
    for (const auto& [process, command] : manifest_->processes) processes.insert(process);
  }
  for (const auto& record : instances_) processes.insert(record.instance.process);
  converged_ = true;
  for (const auto& process : processes) stepProcess(process);
  if (converged_) return;
  report(waitsFor_.empty() ? std::to_string(ready_) + " of " + std::to_string(wanted_) + " instances ready"
                           : waitsFor_);
}

bool AppRollout::giveUpWhenFailing(const RolloutLimits& limits, model::Micros now) {
  if (rollouts_.empty()) return false;
  const Record* failing = nullptr;
  for (const auto& record : instances_) {
    const auto& instance = record.instance;
    if (instance.release != app_.currentRelease || draining(record) || serving(record)) continue;
    const bool never = record.readyAt == 0;
    const bool late = never && record.startedAt != 0 && now - record.startedAt > limits.readyTimeout;
    if ((never && instance.restarts >= limits.restartsToFail) || instance.restarts >= 3 * limits.restartsToFail ||
        late) {
      failing = &record;
      break;
    }
  }
  if (failing == nullptr) return false;
  auto previous = app_.currentRelease;
  for (const auto& rollout : rollouts_) {
    if (rollout.release != rollout.previousRelease) {
      previous = rollout.previousRelease;
      break;
    }
  }
  auto detail = whyOf(*failing);
  if (previous != app_.currentRelease && previous != 0) detail += "; v" + std::to_string(previous) + " keeps serving";
  for (const auto& rollout : rollouts_) {
    const bool scaling = rollout.release == rollout.previousRelease;
    store_.operations().fail(rollout.operationId, {scaling ? "instances_not_ready" : "release_failed", detail});
    store_.rollouts().end(rollout.operationId);
  }
  if (previous != app_.currentRelease) {
    store_.apps().setCurrentRelease(app_.id, previous);
    // The environment goes back with the release that it belonged to.
    if (const auto release = store_.releases().find(app_.id, previous))
      store_.apps().setConfig(app_.id, release->config);
    store_.events().append(app_.tenantId, app_.name, "release.failed",
                           "v" + std::to_string(app_.currentRelease) + ": " + detail);
    store_.bumpRevision();
  }
  return true;
}

void AppRollout::stepProcess(const std::string& process) {
  const auto want = manifest_ == nullptr ? 0 : wanted(*manifest_, app_.formation, process);
  std::vector<Record*> fresh;
  std::vector<Record*> old;
  std::size_t going = 0;
  for (auto& record : instances_) {
    if (record.instance.process != process) continue;
    if (draining(record)) {
      ++going;
    } else {
      (leaving(record) ? old : fresh).push_back(&record);
    }
  }
  bySmallestLoss(fresh);
  bySmallestLoss(old);
  while (fresh.size() > want) {
    drain(*fresh.front());
    fresh.erase(fresh.begin());
  }
  const auto readyOf = [](const std::vector<Record*>& records) {
    return static_cast<std::size_t>(std::count_if(records.begin(), records.end(), [](auto* r) { return serving(*r); }));
  };
  const auto ready = readyOf(fresh);
  // An old one may go when what stays is enough, and one that serves nobody as soon as a new one serves.
  while (!old.empty() && (ready + old.size() > want || (ready > 0 && !serving(*old.front())))) {
    drain(*old.front());
    old.erase(old.begin());
    ++going;
  }
  auto missing = want - fresh.size();
  if (!old.empty()) missing = std::min(missing, want + 1 - std::min(want + 1, fresh.size() + old.size()));
  std::size_t coming = fresh.size() - ready;
  for (; missing > 0; --missing) {
    const auto outcome = start(process);
    if (outcome == Start::started) {
      ++coming;
      continue;
    }
    // No room for one more beside the old ones: one of those makes room, and the next one not before its place is
    // taken.
    if (outcome == Start::noRoom && !old.empty() && going + coming == 0) drain(*old.front());
    break;
  }
  ready_ += ready;
  wanted_ += want;
  if (ready != want || fresh.size() != want || !old.empty()) converged_ = false;
}

AppRollout::Start AppRollout::start(const std::string& process) {
  const auto node = placement_.choose();
  if (node.empty()) {
    waitsFor_ = "waiting for a node";
    return Start::noNode;
  }
  try {
    Record record;
    record.limits = instanceLimits(*manifest_, plan_);
    record.instance.tenantId = app_.tenantId;
    record.instance.appId = app_.id;
    record.instance.release = app_.currentRelease;
    record.instance.process = process;
    record.instance.nodeId = node;
    record.instance.port = process == "web" ? kAppPort : 0;
    store_.instances().admit(std::move(record));
    placement_.placed(node);
    converged_ = false;
    return Start::started;
  } catch (const store::Refusal& refusal) {  // both refusals come before anything is written
    waitsFor_ = std::string("waiting for room: ") + refusal.what();
    return Start::noRoom;
  }
}

void AppRollout::drain(Record& record) {
  record.instance.state = InstanceState::draining;
  record.instance.changedAt = store::now();
  record.drainedAt = 0;
  store_.instances().update(record);
  store_.bumpRevision();
}

bool AppRollout::leaving(const Record& record) const {
  return record.instance.release != app_.currentRelease ||
         std::find(drainingNodes_.begin(), drainingNodes_.end(), record.instance.nodeId) != drainingNodes_.end();
}

void AppRollout::report(const std::string& progress) {
  for (const auto& rollout : rollouts_) store_.operations().setProgress(rollout.operationId, progress);
}

}  // namespace cloister::reconcile
