// Reconciler: one step from what is wanted to what is, over the store; and the loop that takes the steps.
//
// A rollout starts instances of the current release beside the old ones (one more than wanted when the quota has room,
// else stop, then start, one by one), puts them into the edge's map once one of them has stayed ready for the settle
// time, takes the old ones out, lets them drain, stops them. A release whose instances do not get ready, or do not stay
// so, is given up: the app goes back to the release before, and the operation fails with the reason and with what
// serves then. A node that is silent is marked down; nothing is stopped.
//
// Threads: step() from one thread. Loop owns that thread. Failures: step() throws store::StoreError; Loop logs it and
// goes on.
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <map>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "controlplane/edge/routes.h"
#include "controlplane/store/store.h"

namespace cloister::reconcile {

class Reconciler {
 public:
  struct Options {
    std::string appsDomain = "localhost";
    model::Micros drainTime = 5'000'000;       // out of the map -> SIGTERM
    model::Micros readyTimeout = 120'000'000;  // first start -> ready, in a rollout
    model::Micros settle = 10'000'000;         // how long a new instance has to stay ready, unless its manifest says
    std::int64_t restartsToFail = 3;           // restarts without ever having settled, in a rollout
    model::Micros nodeTimeout = 30'000'000;
    // Whether an image is still there; empty: none is, so nothing is reused.
    std::function<bool(const std::string& digest)> hasImage{};
    model::Micros eventRetention = 30LL * 24 * 3600 * 1'000'000;
  };
  // `edge` makes the routes live and returns whether the edge has them now (edge::EdgeMap::apply); it may not throw.
  using ApplyRoutes = std::function<bool(const edge::Routes&)>;
  Reconciler(store::Store& store, Options options, ApplyRoutes edge);

  void step(model::Micros now);

  // Routes for what is ready now.
  [[nodiscard]] edge::Routes routes() const;

 private:
  struct World;
  [[nodiscard]] World look();
  [[nodiscard]] const model::Manifest* manifestOf(const std::string& appId, std::int64_t release);
  void checkNodes(model::Micros now);
  void assignBuilds(model::Micros now);
  // Ends a queued build with the slug of an earlier one of the same inputs; false when there is none.
  [[nodiscard]] bool reuse(const model::Build& build, model::Micros now);
  void stepApp(World& world, const model::App& app, model::Micros now);
  void afterEdge(const World& world, model::Micros now);
  void finishRemovals();
  [[nodiscard]] bool proven(const store::InstanceRecord& record) const;

  store::Store& store_;
  Options options_;
  ApplyRoutes edge_;
  // Releases never change; parsing each of them every second would be most of a step's cost.
  std::map<std::pair<std::string, std::int64_t>, model::Manifest> manifests_;
  model::Micros lastCleanup_ = 0;
  model::Micros firstStep_ = 0;
};

// Steps on every change of the store and at least once a second.
class Loop {
 public:
  Loop(store::Store& store, Reconciler& reconciler);
  ~Loop();  // stops
  Loop(const Loop&) = delete;
  Loop& operator=(const Loop&) = delete;
  void stop();

 private:
  void run();
  store::Store& store_;
  Reconciler& reconciler_;
  std::atomic<bool> stopping_{false};
  std::thread thread_;
};

}  // namespace cloister::reconcile
