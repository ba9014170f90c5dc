// Where a new instance or build goes: the ready node with the fewest instances.
//
// Threads: as the store. Failures: store::StoreError.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "controlplane/model/model.h"
#include "controlplane/store/store.h"

namespace cloister::reconcile {

class Placement {
 public:
  Placement(const std::vector<model::Node>& nodes, const std::vector<store::InstanceRecord>& instances) {
    for (const auto& node : nodes) {
      if (node.state == model::NodeState::ready) load_[node.id] = 0;
    }
    for (const auto& record : instances) {
      if (const auto node = load_.find(record.instance.nodeId); node != load_.end()) ++node->second;
    }
  }
  // Empty when no node is ready.
  [[nodiscard]] std::string choose() const {
    const std::string* best = nullptr;
    std::size_t least = 0;
    for (const auto& [id, count] : load_) {
      if (best != nullptr && count >= least) continue;
      best = &id;
      least = count;
    }
    return best == nullptr ? std::string() : *best;
  }
  void placed(const std::string& nodeId) { ++load_[nodeId]; }

 private:
  std::map<std::string, std::size_t> load_;
};

}  // namespace cloister::reconcile
