// MeterLoop: the thread that reads every group each second, and the door through which others add and finish groups.
//
// Networks are read each five seconds. Tenants' own groups and the host, which are there to be compared with, are read
// once a window, as it ends: so they are of the same moment as the sums of the instances in it.
// Threads: any; a mutex guards the sampler. finish() is durable when it returns: call it before the launcher's
// remove. Failures: add() and finish() return them; the loop logs and goes on. A group that add() could not read is
// tried again with each reading.
#pragma once

#include <condition_variable>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <thread>

#include "controlplane/model/node_protocol.h"
#include "controlplane/node/launcher.h"
#include "controlplane/node/tenants.h"
#include "metering/readings/sampler.h"

namespace cloister::node {

// Whose usage a container is.
struct Metered {
  std::string tenantId;
  std::string appId;
  std::string instanceId;
  std::uint64_t memoryBytes = 0;
};

class MeterLoop {
 public:
  // `key`: what the host seals its readings with.
  [[nodiscard]] static Result<std::unique_ptr<MeterLoop>> open(const std::string& spool, const std::string& source,
                                                               const std::string& bootId,
                                                               const metering::SigningKey& key, Launcher& launcher);
  ~MeterLoop();
  MeterLoop(const MeterLoop&) = delete;
  MeterLoop& operator=(const MeterLoop&) = delete;

  // Takes the group directories, which only the meter needs: it has their files open, and a node of thousands of
  // instances has no descriptors to spare.
  [[nodiscard]] Status add(sandbox::Container& container, const Metered& whose, metering::Origin origin);
  // After all recovered containers were added; begins to read.
  void start();
  [[nodiscard]] Status finish(const std::string& container);
  // When it ended, by the calendar, if that was while this process was not there. Before finish().
  void ended(const std::string& container, std::int64_t utcMicros);
  // After the launcher's remove.
  void forget(const std::string& container);
  // What its limits have refused it until now; none of a container that is not metered.
  struct LimitHits {
    std::uint64_t oomKills = 0;
    std::uint64_t oomKillsBefore = 0;  // at the last full reading, up to ten seconds ago, or a minute if it was idle
    std::uint64_t pidsRefused = 0;
  };
  [[nodiscard]] LimitHits limitHits(const std::string& container);
  // Where the CPU of tenants' own groups and of the host comes from; before start().
  using GroupCpu = std::function<Tenants::CpuOfGroups()>;
  void setGroupCpu(GroupCpu groupCpu) { groupCpu_ = std::move(groupCpu); }
  // Whose network counters the launcher's tenant indexes are; those that were told before stay until removeTenant().
  void setTenants(const std::map<TenantIndex, std::string>& tenants);
  // Reads the tenant's counters for the last time, which is durable, before `remove` ends them; afterwards it is
  // forgotten, and what comes under its name counts from zero. Failures: those of the launcher, the spool, and
  // `remove`; it is all still there then.
  [[nodiscard]] Status removeTenant(TenantIndex tenant, const std::function<Status()>& remove);
  [[nodiscard]] metering::Spool& spool() { return *spool_; }
  // Reads the counters of all tenants' networks and own groups now: before the end.
  void readTenants();
  // Writes everything down; the loop has ended afterwards.
  void stop();

 private:
  MeterLoop(Launcher& launcher, std::unique_ptr<metering::Spool> spool, std::unique_ptr<metering::Sampler> sampler);
  void run();
  // With tenantsMutex_.
  Status readNetwork();
  void readGroups();

  Launcher& launcher_;
  std::unique_ptr<metering::Spool> spool_;
  // From a question about tenants until its answer is counted, so that none overtakes, nor comes after a removal.
  std::mutex tenantsMutex_;
  std::mutex mutex_;
  std::condition_variable wake_;
  std::unique_ptr<metering::Sampler> sampler_;
  std::map<TenantIndex, std::string> tenants_;
  GroupCpu groupCpu_;
  bool stopping_ = false;
  std::thread thread_;
};

}  // namespace cloister::node
