// Intents, rollouts and reports together, with a node and an edge that only exist as tables.
#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <functional>
#include <map>
#include <set>

#include "controlplane/reconcile/deployments.h"
#include "controlplane/reconcile/node_work.h"
#include "controlplane/reconcile/reconciler.h"

namespace cloister::reconcile {

using model::InstanceState;
using model::OperationState;

inline const std::string kBase(64, 'b');
inline const std::string kSource(64, 'c');
inline const std::string kHost = "hello.demo.localhost";

inline std::string slugOf(const std::string& buildId) {
  return store::sha256(buildId);
}

// Does at once what it is told, except where a test says otherwise.
class FakeNode {
 public:
  explicit FakeNode(NodeWorkService& service) : service_(service) {}

  void sync() {
    const auto work = service_.work("one");
    model::NodeStatus status;
    status.nodeId = "one";
    status.bootId = "boot";
    status.observedRevision = work.revision;
    for (const auto& instance : work.instances) {
      ids.insert(instance.id);
      highest = std::max(highest, work.instances.size());
      if (instance.desired == model::DesiredState::stop) {
        status.instances.push_back({instance.id, InstanceState::stopped, 0, "", 0});
      } else if (broken.contains(instance.release)) {
        status.instances.push_back({instance.id, InstanceState::crashed, restarts, "exit 1", 0});
      } else if (slow.contains(instance.release)) {
        status.instances.push_back({instance.id, InstanceState::starting, 0, "", 0});
      } else if (flapping.contains(instance.release)) {
        // Ready for two reports of each attempt, then crashed until the next.
        const auto turn = turns_[instance.id]++;
        const bool ready = turn % 4 < 2;
        status.instances.push_back({instance.id, ready ? InstanceState::running : InstanceState::crashed, turn / 4,
                                    ready ? "" : "ended with exit code 3", 0});
      } else {
        status.instances.push_back({instance.id, InstanceState::running, restartsWhileReady, "", 0});
      }
    }
    for (const auto& build : work.builds) {
      if (holdBuilds) continue;
      model::BuildReport report{build.id, model::BuildState::succeeded, slugOf(build.id), buildFailure};
      report.slugBytes = slugBytes;
      doneCommands = build.doneCommands;
      for (std::size_t i = 0; i < build.layers.size(); ++i) {
        report.layers.push_back({static_cast<std::uint32_t>(build.layers.size() - 1 - i), build.layers[i], layerBytes});
      }
      for (const auto& step : build.steps) {
        report.layers.insert(report.layers.begin(),
                             {step.index, store::sha256(build.id + std::to_string(step.index)), layerBytes});
      }
      if (buildFailure.failed()) report.state = model::BuildState::failed;
      status.builds.push_back(report);
    }
    service_.apply(status);
  }

  std::set<std::int64_t> broken;
  std::set<std::int64_t> slow;
  std::set<std::int64_t> flapping;
  std::int64_t restartsWhileReady = 0;
  std::int64_t restarts = 3;
  model::Failure buildFailure;
  std::uint64_t slugBytes = 0;
  std::uint64_t layerBytes = 0;
  std::uint32_t doneCommands = 0;  // of the last build, when it came
  bool holdBuilds = false;
  std::set<std::string> ids;
  std::size_t highest = 0;

 private:
  std::map<std::string, std::int64_t> turns_;
  NodeWorkService& service_;
};

class Reconcile : public ::testing::Test {
 protected:
  void SetUp() override {
    model::PlanLimits limits;
    limits.memoryBytes = 1ULL << 30U;
    limits.cpuMillis = 1000;
    limits.pids = 100;
    limits.diskBytes = 1ULL << 30U;
    limits.inodes = 100'000;
    limits.instances = 4;
    limits.apps = 3;
    limits.buildMemoryBytes = limits.buildDiskBytes = 1ULL << 30U;
    limits.buildSeconds = 600;
    store_.plans().create("small", limits);
    tenant_ = store_.tenants().create("demo", "small");
    app_ = store_.apps().create(tenant_.id, "hello");
    now_ = store::now();
    node_.sync();
  }

  [[nodiscard]] static model::Manifest manifest(std::uint64_t memory = 64ULL << 20U) {
    model::Manifest manifest;
    manifest.buildCommands = {"make"};
    manifest.processes = {{"web", "./serve"}, {"worker", "./work"}};
    manifest.memoryBytes = manifest.diskBytes = memory;
    return manifest;
  }
  model::Operation deploy(std::uint64_t memory = 64ULL << 20U) {
    return deployments_.deploy(app_.id, manifest(memory), kSource, "tk-1");
  }
  // Node and control plane in turn, `seconds` long; what is served is watched all the time.
  void run(int seconds) {
    for (int i = 0; i < seconds * 4; ++i) tick();
  }
  void tick() {
    node_.sync();
    store_.database().run("UPDATE nodes SET last_seen = ?1 WHERE name = 'one'", now_);  // on the test's clock
    reconciler_.step(now_);
    now_ += 250'000;
    watch();
  }
  void settle() { run(30); }
  [[nodiscard]] model::Operation ended(const model::Operation& operation) {
    return store_.operations().get(operation.id);
  }
  [[nodiscard]] std::size_t live(std::int64_t release) {
    const auto records = store_.instances().ofApp(app_.id);
    return static_cast<std::size_t>(
        std::count_if(records.begin(), records.end(), [&](const auto& r) { return r.instance.release == release; }));
  }

  store::Store store_{{":memory:", ""}};
  Deployments deployments_{store_, {.baseDigest = [](const std::string&) { return kBase; }}};
  NodeWorkService service_{store_};
  FakeNode node_{service_};
  edge::Routes live_;
  bool edgeUp_ = true;
  std::set<std::string> goneImages_;
  Reconciler reconciler_{
      store_,
      {.settle = 0, .hasImage = [this](const std::string& digest) { return !goneImages_.contains(digest); }},
      [this](const edge::Routes& routes) {
        if (edgeUp_) live_ = routes;
        return edgeUp_;
      }};
  std::function<void()> watch = [] {};
  model::Tenant tenant_;
  model::App app_;
  model::Micros now_ = 0;
};

}  // namespace cloister::reconcile
