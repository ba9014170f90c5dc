#include "controlplane/reconcile/app_rollout.h"

#include <algorithm>
#include <set>
#include <utility>

#include "controlplane/reconcile/likeness.h"
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
// Ready, and it once stayed so for long enough.
bool settled(const Record& record) {
  return serving(record) && record.settledAt != 0;
}

// Those that serve nobody first, then the youngest.
void bySmallestLoss(std::vector<Record*>& records) {
  std::sort(records.begin(), records.end(), [](const Record* left, const Record* right) {
    if (serving(*left) != serving(*right)) return !serving(*left);
    return left->instance.id > right->instance.id;
  });
}

std::size_t countOf(const std::vector<Record*>& records, bool (*holds)(const Record&)) {
  return static_cast<std::size_t>(
      std::count_if(records.begin(), records.end(), [&](const Record* record) { return holds(*record); }));
}

std::string counted(std::int64_t count, const char* noun) {
  return std::to_string(count) + " " + noun + (count == 1 ? "" : "s");
}

// "web: ended with exit code 3 (3 restarts)"
std::string whyOf(const Record& record) {
  const auto& instance = record.instance;
  std::string why = instance.process + ": ";
  why +=
      instance.reason.empty() ? std::string("not ready, its state is ") + model::name(instance.state) : instance.reason;
  if (instance.restarts > 0) why += " (" + counted(instance.restarts, "restart") + ")";
  return why;
}

std::string versionText(std::int64_t version) {
  return "v" + std::to_string(version);
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
      instances_(std::move(instances)) {
  for (auto& rollout : rollouts) (rollout.failure.failed() ? goingBack_ : rollouts_).push_back(std::move(rollout));
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
  watch(limits, now);
  if (giveUpWhenFailing(limits, now)) return;
  std::set<std::string> processes;
  if (manifest_ != nullptr) {
    for (const auto& [process, command] : manifest_->processes) processes.insert(process);
  }
  for (const auto& record : instances_) processes.insert(record.instance.process);
  converged_ = true;
  for (const auto& process : processes) stepProcess(process);
  if (!goingBack_.empty()) finishGoingBack(limits, now);
  if (converged_) return;
  for (const auto& rollout : rollouts_) store_.operations().setProgress(rollout.operationId, progress(limits));
}

std::string AppRollout::progress(const RolloutLimits& limits) const {
  if (!waitsFor_.empty()) return waitsFor_;
  auto text = std::to_string(ready_) + " of " + counted(static_cast<std::int64_t>(wanted_), "instance") + " ready";
  if (ready_ < wanted_ || settled_ == wanted_ || manifest_ == nullptr) return text;
  const auto settle = manifest_->settleMillis >= 0 ? manifest_->settleMillis : limits.settle / 1000;
  return text + ", to stay so for " + std::to_string((settle + 999) / 1000) + " s";
}

void AppRollout::watch(const RolloutLimits& limits, model::Micros now) {
  for (auto& record : instances_) {
    if (draining(record)) continue;
    const auto before = std::pair(record.readySince, record.settledAt);
    if (!serving(record)) record.readySince = 0;
    if (serving(record) && record.readySince == 0) record.readySince = now;
    const bool current = manifest_ != nullptr && record.instance.release == app_.currentRelease;
    const auto settle = current && manifest_->settleMillis >= 0 ? manifest_->settleMillis * 1000 : limits.settle;
    if (serving(record) && record.settledAt == 0 && (now - record.readySince >= settle || (current && proven())))
      record.settledAt = now;
    if (before != std::pair(record.readySince, record.settledAt)) store_.instances().update(record);
  }
}

bool AppRollout::proven() {
  if (!proven_) proven_ = isProven(store_, store_.releases().get(app_.id, app_.currentRelease));
  return *proven_;
}

const Record* AppRollout::failing(const RolloutLimits& limits, model::Micros now) const {
  for (const auto& record : instances_) {
    const auto& instance = record.instance;
    if (instance.release != app_.currentRelease || draining(record) || serving(record)) continue;
    const bool never = record.settledAt == 0;
    const bool late = never && record.startedAt != 0 && now - record.startedAt > limits.readyTimeout;
    if ((never && instance.restarts >= limits.restartsToFail) || instance.restarts >= 3 * limits.restartsToFail || late)
      return &record;
  }
  return nullptr;
}

bool AppRollout::giveUpWhenFailing(const RolloutLimits& limits, model::Micros now) {
  if (rollouts_.empty()) return false;
  const Record* failed = failing(limits, now);
  if (failed == nullptr) return false;
  auto previous = app_.currentRelease;
  for (const auto& rollout : rollouts_) {
    if (rollout.release != rollout.previousRelease) {
      previous = rollout.previousRelease;
      break;
    }
  }
  const auto why = whyOf(*failed);
  for (const auto& rollout : rollouts_) {
    if (rollout.release == rollout.previousRelease) {
      store_.operations().fail(rollout.operationId, {"instances_not_ready", why, failed->instance.id});
      store_.rollouts().end(rollout.operationId);
      continue;
    }
    store_.releases().setState(app_.id, rollout.release, model::ReleaseState::refused);
    const auto version = versionText(app_.currentRelease);
    store_.rollouts().goBack(rollout.operationId,
                             {"release_failed", version + " was refused: " + why, failed->instance.id}, now);
    store_.operations().setProgress(rollout.operationId, version + " is refused: " + why);
  }
  if (previous == app_.currentRelease) return true;
  // Its environment goes with it, except that a first release gives back what the app was given before it.
  if (previous == 0) store_.environments().setInitial(app_.id, store_.environments().get(app_.id, app_.currentRelease));
  store_.apps().setCurrentRelease(app_.id, previous);
  store_.events().append(app_.tenantId, app_.name, "release.failed", versionText(app_.currentRelease) + ": " + why);
  store_.bumpRevision();
  return true;
}

void AppRollout::finishGoingBack(const RolloutLimits& limits, model::Micros now) {
  const Record* failed = failing(limits, now);
  for (const auto& rollout : goingBack_) {
    const bool over = ready_ >= wanted_ || failed != nullptr || now - rollout.failedAt > limits.readyTimeout;
    if (!over) {
      store_.operations().setProgress(
          rollout.operationId, "starting " + versionText(app_.currentRelease) + " again: " + std::to_string(ready_) +
                                   " of " + counted(static_cast<std::int64_t>(wanted_), "instance") + " ready");
      continue;
    }
    auto failure = rollout.failure;
    failure.detail += "; " + whatServes(rollout.failedAt, failed);
    store_.operations().fail(rollout.operationId, failure);
    store_.rollouts().end(rollout.operationId);
  }
}

// Of what is seen now, not of what should be.
std::string AppRollout::whatServes(model::Micros since, const Record* failing) const {
  if (manifest_ == nullptr) return "there is no release before it, so nothing serves";
  const auto version = versionText(app_.currentRelease);
  if (wanted_ == 0) return version + " is current again, with no instance wanted";
  const bool anew = std::any_of(instances_.begin(), instances_.end(), [&](const Record& record) {
    return serving(record) && record.instance.release == app_.currentRelease && record.readySince > since;
  });
  std::string text = version;
  if (ready_ == 0) {
    text += " does not serve";
  } else {
    text += anew ? " was started again and serves" : " still serves";
  }
  text += " (" + std::to_string(ready_) + " of " + counted(static_cast<std::int64_t>(wanted_), "instance") + " ready)";
  return failing == nullptr ? text : text + ": " + whyOf(*failing);
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
  const auto ready = countOf(fresh, serving);
  const auto proven = countOf(fresh, settled);
  // Until one of them has stayed ready for the settle time, nothing is known of them; then it vouches for the others.
  const auto counts = proven > 0 ? ready : 0;
  // An old one may go when what stays is enough, and one that serves nobody as soon as a new one does.
  while (!old.empty() && (counts + old.size() > want || (counts > 0 && !serving(*old.front())))) {
    drain(*old.front());
    old.erase(old.begin());
    ++going;
  }
  auto missing = want - fresh.size();
  if (!old.empty()) missing = std::min(missing, want + 1 - std::min(want + 1, fresh.size() + old.size()));
  startMissing(process, missing, fresh.size() - counts, going, old);
  ready_ += ready;
  settled_ += counts;
  wanted_ += want;
  if (counts != want || fresh.size() != want || !old.empty()) converged_ = false;
}

void AppRollout::startMissing(const std::string& process, std::size_t missing, std::size_t coming, std::size_t going,
                              const std::vector<Record*>& old) {
  for (; missing > 0; --missing) {
    const auto outcome = start(process, old.empty() ? store::Room::plan : store::Room::surge);
    if (outcome == Start::started) {
      ++coming;
      continue;
    }
    // No room for one more beside the old ones: one of those makes room, and the next one not before its place is
    // taken.
    if (outcome == Start::noRoom && !old.empty() && going + coming == 0) drain(*old.front());
    return;
  }
}

AppRollout::Start AppRollout::start(const std::string& process, store::Room room) {
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
    store_.instances().admit(std::move(record), room);
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

}  // namespace cloister::reconcile
