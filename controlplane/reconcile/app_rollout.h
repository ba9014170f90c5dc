// AppRollout: what to do next for one app, decided from its rows: which instances to start, to drain, and whether the
// app is where it should be.
//
// A new instance counts for nothing until one of its release and process has stayed ready for the settle time; then the
// others count as soon as they are ready. A release that runs what the one before it ran has settled when it is ready.
// A release that is given up stays refused, and its operation ends only when it was seen what became of the release
// before it:
//
//   rolling out ──all ready, one a process settled──► released
//        │ an instance never settles
//        ▼
//   going back ──the release before is ready, or is not to become so──► the operation fails and says which
//
// Threads: inside a transaction of the store. Failures: store::StoreError.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "controlplane/model/model.h"
#include "controlplane/reconcile/placement.h"
#include "controlplane/store/store.h"

namespace cloister::reconcile {

struct RolloutLimits {
  model::Micros readyTimeout = 0;
  std::int64_t restartsToFail = 0;
  model::Micros settle = 0;  // of a release whose manifest names no other
};

class AppRollout {
 public:
  // `instances`: the app's service instances. `release`: the app's current one, or null when it has none.
  AppRollout(store::Store& store, Placement& placement, const model::App& app, const model::Manifest* manifest,
             const model::PlanLimits& plan, std::vector<store::InstanceRecord> instances,
             std::vector<store::Rollout> rollouts, const std::vector<model::Node>& nodes);

  // Takes every instance out of service: a suspended or removed owner.
  void stopAll();
  // One step towards the current release and formation.
  void step(const RolloutLimits& limits, model::Micros now);
  // All wanted instances of the current release are ready, one of each process has settled, and no other one serves.
  // Tells nothing about the edge.
  [[nodiscard]] bool converged() const { return converged_; }

 private:
  void watch(const RolloutLimits& limits, model::Micros now);
  // What runs in the current release ran in the one before it: it has nothing left to show.
  [[nodiscard]] bool proven();
  [[nodiscard]] const store::InstanceRecord* failing(const RolloutLimits& limits, model::Micros now) const;
  [[nodiscard]] bool giveUpWhenFailing(const RolloutLimits& limits, model::Micros now);
  void finishGoingBack(const RolloutLimits& limits, model::Micros now);
  [[nodiscard]] std::string whatServes(model::Micros since, const store::InstanceRecord* failing) const;
  void stepProcess(const std::string& process);
  void startMissing(const std::string& process, std::size_t missing, std::size_t coming, std::size_t going,
                    const std::vector<store::InstanceRecord*>& old);
  enum class Start { started, noNode, noRoom };
  Start start(const std::string& process, store::Room room);
  void drain(store::InstanceRecord& record);
  [[nodiscard]] bool leaving(const store::InstanceRecord& record) const;
  [[nodiscard]] std::string progress(const RolloutLimits& limits) const;

  store::Store& store_;
  Placement& placement_;
  const model::App& app_;
  const model::Manifest* manifest_;
  model::PlanLimits plan_;
  std::vector<store::InstanceRecord> instances_;
  std::vector<store::Rollout> rollouts_;   // under way
  std::vector<store::Rollout> goingBack_;  // given up
  std::optional<bool> proven_;
  std::vector<std::string> drainingNodes_;
  std::size_t ready_ = 0;
  std::size_t settled_ = 0;
  std::size_t wanted_ = 0;
  std::string waitsFor_;
  bool converged_ = false;
};

}  // namespace cloister::reconcile
