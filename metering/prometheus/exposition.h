// Exposition: the state behind the cloister_tenant_* and cloister_metering_* series of /metrics.
//
// Totals come from the ledger, so they are monotonic over restarts of cloisterd; levels (memory, disk, instances) from
// the newest window that observe() saw (of one that lies ahead of the clock any later batch's is newer), and are zero
// when it is older than a minute, by its end or since it was seen; waiting times from the nodes
// themselves, as counters that begin again with a tenant's group.
// While the ledger was never read, as after a start without its server, there is no series at all: zeros would be
// resets of counters that go on from where they were.
// At most `mostSeries` series of tenants are shown, whole tenants only: those that are there before those that are
// gone, and by id, which is by age, so that a newcomer does not push an older one out. What is left out is counted.
// Threads: any; a mutex guards the live levels and is held while page() copies, not while the page is written.
// Failures: none.
#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <mutex>
#include <string>
#include <vector>

#include "metering/ledger/ledger.h"
#include "metering/prometheus/page.h"
#include "metering/readings/pressure.h"

namespace cloister::metering {

class Exposition {
 public:
  using Clock = std::function<std::int64_t()>;  // microseconds UTC
  // 10,000 tenants with all that one can have on one node.
  static constexpr std::size_t kMostSeries = 300'000;

  explicit Exposition(const Ledger& ledger);
  Exposition(const Ledger& ledger, Clock clock, std::size_t mostSeries = kMostSeries);

  // Call with each batch that append() recorded (not with repeated ones): its newest window gives the levels.
  void observe(const UsageBatch& batch);
  // Of a recorded batch: seals whose signature is of no key of its host.
  void countBadSeals(std::uint64_t seals);
  // For a caller that knows levels better.
  void setLive(const std::string& tenantId, const LiveLevels& levels);
  void setPlan(const std::string& tenantId, const std::string& plan);
  // How long the tenant's processes on a node have waited; replaces what the node said before.
  void setPressure(const std::string& node, const std::string& tenantId, const Stall& stall);
  // The tenant is gone: only its totals stay.
  void forget(const std::string& tenantId);
  // Those that are not forgotten.
  [[nodiscard]] std::vector<std::string> tenants() const;

  [[nodiscard]] TenantPage page() const;

 private:
  struct Window {  // of one source
    std::int64_t from = 0;
    std::int64_t to = 0;
    std::int64_t seen = 0;     // by our clock: after a step of the node's, its own says nothing of its age
    std::uint64_t memory = 0;  // byte-milliseconds
    std::uint64_t disk = 0;
    std::uint64_t instances = 0;  // milliseconds
  };
  struct Pressure {
    std::uint64_t micros = 0;
    std::int64_t at = 0;
  };
  struct Tenant {
    std::string label;                      // the id, escaped
    std::string plan;                       // escaped
    std::map<std::string, Window> windows;  // by source
    LiveLevels live;
    std::int64_t liveAt = 0;
    std::map<std::string, Pressure> pressures;  // by its labels as they stand on the page
  };
  [[nodiscard]] Tenant& tenant(const std::string& id);
  [[nodiscard]] static LiveLevels levelsAt(const Tenant& tenant, std::int64_t at);
  void addLive(TenantPage& page, const Tenant& tenant, const Totals& totals) const;

  const Ledger& ledger_;
  Clock clock_;
  std::size_t mostSeries_;
  mutable std::mutex mutex_;
  std::map<std::string, Tenant> tenants_;
  // What instances spent and what their tenants' groups did, in the batches of a node, by the minute in which they
  // came: all are of the same windows, so their differences are metering that went wrong and nothing else. Judged by
  // the last hour: in sums of weeks an error of hours would not show.
  struct Reconciled {
    std::int64_t minute = 0;
    std::int64_t window = 0;  // the end of the last one, which stays in its minute should it come in several batches
    Quantity instances = 0;
    Quantity groups = 0;  // the tenants' own
    Quantity all = 0;     // the one that they are in
  };
  [[nodiscard]] Reconciled& reconciled(const std::string& node, std::int64_t minute, std::int64_t window);
  std::map<std::string, std::deque<Reconciled>> reconciled_;
  std::uint64_t badSeals_ = 0;
};

}  // namespace cloister::metering
