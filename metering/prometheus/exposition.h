// Exposition: cloister_tenant_* and cloister_metering_* series for Prometheus.
//
// Totals come from the ledger, so they are monotonic over restarts of cloisterd; levels (memory, disk, instances) from
// the newest window that observe() saw, and are zero when it is older than a minute; waiting times from the nodes
// themselves, as counters that begin again with a tenant's group. Label `tenant` is the opaque id.
// Register: exposer.RegisterCollectable(exposition) with a shared_ptr that outlives the exposer.
// Threads: any; a mutex guards the live levels. Failures: none.
#pragma once

#include <prometheus/collectable.h>
#include <prometheus/metric_family.h>

#include <cstdint>
#include <functional>
#include <map>
#include <mutex>
#include <string>
#include <tuple>
#include <vector>

#include "metering/ledger/ledger.h"
#include "metering/readings/pressure.h"

namespace cloister::metering {

struct LiveLevels {
  std::uint64_t memoryBytes = 0;
  std::uint64_t diskBytes = 0;
  std::uint64_t instances = 0;
};

class Exposition : public prometheus::Collectable {
 public:
  using Clock = std::function<std::int64_t()>;  // microseconds UTC
  explicit Exposition(const Ledger& ledger);
  Exposition(const Ledger& ledger, Clock clock);

  // Call with each batch that append() recorded (not with repeated ones): its newest window gives the levels.
  void observe(const UsageBatch& batch);
  // For a caller that knows levels better.
  void setLive(const std::string& tenantId, const LiveLevels& levels);
  void setPlan(const std::string& tenantId, const std::string& plan);
  // How long the tenant's processes on a node have waited; replaces what the node said before.
  void setPressure(const std::string& node, const std::string& tenantId, const Stall& stall);
  void forget(const std::string& tenantId);

  [[nodiscard]] std::vector<prometheus::MetricFamily> Collect() const override;

 private:
  struct Window {  // of one source
    std::int64_t from = 0;
    std::int64_t to = 0;
    std::uint64_t memory = 0;  // byte-milliseconds
    std::uint64_t disk = 0;
    std::uint64_t instances = 0;  // milliseconds
  };
  struct Pressure {
    std::uint64_t micros = 0;
    std::int64_t at = 0;
  };
  struct Tenant {
    std::map<std::string, Window> windows;  // by source
    LiveLevels live;
    std::int64_t liveAt = 0;
    std::string plan;
    std::map<std::tuple<std::string, std::string, std::string>, Pressure> pressures;  // node, resource, kind
  };
  [[nodiscard]] static LiveLevels levelsAt(const Tenant& tenant, std::int64_t at);

  const Ledger& ledger_;
  Clock clock_;
  mutable std::mutex mutex_;
  std::map<std::string, Tenant> tenants_;
};

}  // namespace cloister::metering
