// The control plane's side of the node protocol: what a node should do, and what it reports.
//
// Threads: any. Failures: store::NotFound for an unknown node; store::StoreError.
#pragma once

#include <map>
#include <set>
#include <string>

#include "controlplane/model/node_protocol.h"
#include "controlplane/store/store.h"

namespace cloister::reconcile {

// The port that an app's `web` process finds in PORT.
inline constexpr std::uint16_t kAppPort = 8080;

class NodeWorkService {
 public:
  // `appsDomain`: apps are "<app>.<tenant>.<domain>", which their health checks name.
  explicit NodeWorkService(store::Store& store, std::string appsDomain = "localhost");

  // All of the node's work; `sessions` is left empty for the caller. A node that is new is registered first (its token
  // was checked by the caller). Certified, because a Store that could not be opened whole does not exist.
  [[nodiscard]] model::NodeWork work(const std::string& nodeNameOrId);
  // Takes a report in one transaction: instance states, build results (-> release and rollout, or the operation's
  // failure), events, posture. What is unknown here is ignored.
  void apply(const model::NodeStatus& status);
  // Its slug is there: release and rollout, or the operation's failure.
  void buildSucceeded(model::Build build);

 private:
  // Reports that did not decode: an event each, once.
  void takeRefused(const model::Node& node, const model::NodeStatus& status);
  // Tenants with an instance that leaves its place to another.
  [[nodiscard]] std::set<std::string> rollingTenants() const;
  void takeKey(const model::Node& node, const std::string& key);
  void applyInstances(const model::Node& node, const model::NodeStatus& status);
  void addSteps(const model::Build& build, model::DesiredBuild& desired);
  void takeLayers(const model::Build& build, const model::BuildReport& report);
  void applyBuild(const model::Node& node, const model::BuildReport& report);
  void buildFailed(model::Build build, const model::Failure& failure);

  store::Store& store_;
  std::map<std::string, std::set<std::string>> toldRefused_;  // by node; in apply()'s transaction
  std::string appsDomain_;
};

// "<app>.<tenant>.<domain>"
[[nodiscard]] std::string hostOf(const std::string& app, const std::string& tenant, const std::string& domain);

// Instance as the node gets it; shared with one-off runs. `environment`: config and secrets of its release.
[[nodiscard]] model::DesiredInstance desiredInstance(const store::InstanceRecord& record, const model::App& app,
                                                     const model::Release& release,
                                                     std::map<std::string, std::string> environment);

}  // namespace cloister::reconcile
