// AppRollout: what to do next for one app, decided from its rows: which instances to start, to drain, and whether the
// app is where it should be.
//
// Threads: inside a transaction of the store. Failures: store::StoreError.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "controlplane/model/model.h"
#include "controlplane/reconcile/placement.h"
#include "controlplane/store/store.h"

namespace cloister::reconcile {

struct RolloutLimits {
  model::Micros readyTimeout = 0;
  std::int64_t restartsToFail = 0;
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
  // All wanted instances of the current release are ready and no other one serves. Tells nothing about the edge.
  [[nodiscard]] bool converged() const { return converged_; }

 private:
  [[nodiscard]] bool giveUpWhenFailing(const RolloutLimits& limits, model::Micros now);
  void stepProcess(const std::string& process);
  enum class Start { started, noNode, noRoom };
  Start start(const std::string& process);
  void drain(store::InstanceRecord& record);
  [[nodiscard]] bool leaving(const store::InstanceRecord& record) const;
  void report(const std::string& progress);

  store::Store& store_;
  Placement& placement_;
  const model::App& app_;
  const model::Manifest* manifest_;
  model::PlanLimits plan_;
  std::vector<store::InstanceRecord> instances_;
  std::vector<store::Rollout> rollouts_;
  std::vector<std::string> drainingNodes_;
  std::size_t ready_ = 0;
  std::size_t wanted_ = 0;
  std::string waitsFor_;
  bool converged_ = false;
};

}  // namespace cloister::reconcile
