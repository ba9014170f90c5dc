// Instances, the addresses that they and builds hold, what a tenant uses of its quota, and nodes.
//
// Threads: any; each call takes the store's lock. Failures: Refusal for what the caller did, StoreError for the rest.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "controlplane/model/model.h"
#include "controlplane/model/node_protocol.h"
#include "controlplane/store/page.h"
#include "sandbox/base/identity.h"

namespace cloister::store {

class Store;

enum class InstanceKind { service, oneOff };  // oneOff: `cloister run`, never in a formation

// An instance with what only the control loops need.
struct InstanceRecord {
  model::Instance instance;
  InstanceKind kind = InstanceKind::service;
  model::InstanceLimits limits;   // what its tenant's quota is charged with
  model::Micros startedAt = 0;    // first report of the node that it starts; 0 before
  model::Micros readyAt = 0;      // first time ready; 0: never was
  model::Micros readySince = 0;   // since when it is ready without an interruption; 0: it is not
  model::Micros settledAt = 0;    // first time that it had stayed ready for its settle time; 0: not yet
  model::Micros drainedAt = 0;    // when the edge had it out of its maps; 0: not yet
  std::int64_t stopRevision = 0;  // the revision with which `desired` became stop
};

struct QuotaUse {
  std::uint64_t instances = 0;
  std::uint64_t memoryBytes = 0;
  std::uint64_t diskBytes = 0;
};

// What an instance may be charged to: the plan, or in a rollout also what the plan allows on top of itself.
enum class Room { plan, surge };
// The plan's memory, disk and instances with its surge.
[[nodiscard]] model::PlanLimits withSurge(model::PlanLimits plan);

class Instances {
 public:
  explicit Instances(Store& store) : store_(store) {}
  // Gives id and address and charges the quota, all in one transaction: QuotaExceeded (instances, memoryBytes,
  // diskBytes), Conflict "addresses_exhausted". `record.instance` names tenant, app, release, process, node and port.
  InstanceRecord admit(InstanceRecord record, Room room = Room::plan);
  [[nodiscard]] std::optional<InstanceRecord> find(const std::string& id) const;
  [[nodiscard]] InstanceRecord get(const std::string& id) const;  // or NotFound
  [[nodiscard]] std::vector<InstanceRecord> all() const;
  // By id, oldest first.
  [[nodiscard]] std::vector<InstanceRecord> ofTenant(const std::string& tenantId, const Page& page = {}) const;
  [[nodiscard]] std::vector<InstanceRecord> ofApp(const std::string& appId, const Page& page = {}) const;
  void update(
      const InstanceRecord& record);  // all but its place (tenant, app, release, process, node, address, limits)
  // Deletes the row; the address can be given again ten seconds later.
  void erase(const std::string& id);
  // What the tenant's instances hold now, stopping ones included.
  [[nodiscard]] QuotaUse use(const std::string& tenantId) const;

 private:
  Store& store_;
};

// Addresses in a tenant's /24, unique on a node.
class Addresses {
 public:
  explicit Addresses(Store& store) : store_(store) {}
  Ipv4 allocate(const std::string& nodeId, TenantIndex tenant,
                const std::string& owner);  // Conflict "addresses_exhausted"
  void release(const std::string& owner);

 private:
  Store& store_;
};

class Nodes {
 public:
  explicit Nodes(Store& store) : store_(store) {}
  // The node of that name (or id), registered when it is new.
  model::Node ensure(const std::string& nameOrId);
  [[nodiscard]] std::optional<model::Node> find(const std::string& nameOrId) const;
  [[nodiscard]] model::Node get(const std::string& nameOrId) const;          // or NotFound
  [[nodiscard]] std::vector<model::Node> list(const Page& page = {}) const;  // by name
  void setState(const std::string& id, model::NodeState state);  // cordoned: nothing new; draining: moved away
  void observe(const model::Node& node);                         // bootId, observedRevision, posture, lastSeen
  void remove(const std::string& id);                            // Conflict "node_in_use"; its keys stay
  // False: known already.
  bool addKey(const model::NodeKey& key);
  // Of the node of that name, or of all; by node and age. Also of nodes that were removed.
  [[nodiscard]] std::vector<model::NodeKey> keys(const std::optional<std::string>& name = {}) const;

 private:
  Store& store_;
};

}  // namespace cloister::store
