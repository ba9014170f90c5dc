// Agent: brings what runs on this host to what the server wants, and says what it sees.
//
// Thread contract. The main loop (run()) alone owns the instances and their state machines; it never blocks on the
// launcher, the network or a disk. Others reach it by post(), a queue behind a mutex and a wakeup:
//   WorkSource    long poll, posts each new work
//   Workers       launches, removals, downloads; post their results
//   HealthProber  runs probes, posts verdicts
//   LogPump       FIFOs to log files             MeterLoop  readings each second
//   Reporter      status and usage to the server Builds, Sessions: a thread each
// Their objects are safe for any thread. A result that comes for an attempt that is no longer the latest is ignored.
// Order: recover() first (what runs is adopted before anything is decided), then the kept work, then the server's.
// Failures: start() returns what keeps the node from working at all; later ones are logged, reported and tried again.
#pragma once

#include <atomic>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "controlplane/node/builds.h"
#include "controlplane/node/config.h"
#include "controlplane/node/health.h"
#include "controlplane/node/instance.h"
#include "controlplane/node/instance_directory.h"
#include "controlplane/node/launcher.h"
#include "controlplane/node/layers.h"
#include "controlplane/node/log_pump.h"
#include "controlplane/node/meter_loop.h"
#include "controlplane/node/reporter.h"
#include "controlplane/node/runtime.h"
#include "controlplane/node/server.h"
#include "controlplane/node/sessions.h"
#include "controlplane/node/work_source.h"
#include "controlplane/node/workers.h"
#include "sandbox/base/streams.h"

namespace cloister::node {

class Agent {
 public:
  Agent(Config config, Launcher& launcher);
  ~Agent();
  Agent(const Agent&) = delete;
  Agent& operator=(const Agent&) = delete;

  // Takes over what runs, begins all threads.
  [[nodiscard]] Status start();
  // Until `stop` (a descriptor) becomes readable. Touches no container on the way out.
  void run(int stop);

 private:
  struct Record;
  using Task = std::function<void()>;

  void post(Task task);
  void runTasks();

  // agent_start.cpp
  [[nodiscard]] Status makeDirectories() const;
  [[nodiscard]] Status openParts();
  [[nodiscard]] Status adoptAll();
  void adopt(const std::string& id, const Adoption& adoption,
             std::map<std::string, std::shared_ptr<sandbox::Container>>& containers,
             const std::optional<model::NodeWork>& cached);
  [[nodiscard]] Metered meteredUnknown(const sandbox::Container& container,
                                       const std::optional<model::NodeWork>& cached) const;

  // agent.cpp: what should be
  void apply(const model::NodeWork& work);
  // Items of the work that did not decode: an event each, once.
  void tellRefused(const model::NodeWork& work);
  void applyTenants(const model::NodeWork& work);
  void applyInstance(const model::DesiredInstance& instance, const model::DesiredTenant& tenant);
  void removeUnknown();
  void collectGarbage();
  void removeIdleTenants();
  void publish();

  // agent_instances.cpp: making it so
  Record& addRecord(const InstanceSpec& spec, std::int64_t attempt);
  void pump(Record& record);
  void perform(Record& record, Action action);
  void launch(Record& record);
  void check(Record& record);
  void remove(Record& record);
  void launched(const std::string& id, std::int64_t attempt, std::shared_ptr<sandbox::Container> container);
  void launchFailed(const std::string& id, std::int64_t attempt, const std::string& reason);
  void exited(Record& record);
  // What cloister-init has written of calls meanwhile.
  void readCalls(Record& record);
  // Whether its disk is full.
  void lookAtDisk(Record& record);
  void settled(Record& record);
  void watch(Record& record);
  void unwatch(Record& record);
  [[nodiscard]] Status attachLogs(Record& record);
  void remember(Record& record, AttemptState state);
  void note(const Record& record, const std::string& kind, const std::string& text);
  // The record, if that attempt is still its latest.
  [[nodiscard]] Record* find(const std::string& id, std::int64_t attempt);
  [[nodiscard]] std::optional<Sessions::Target> target(const std::string& id);
  void setTarget(const Record& record);
  [[nodiscard]] int nextWait() const;

  Config config_;
  Launcher& launcher_;
  std::string bootId_;
  std::string nodeId_;
  std::string signingKey_;  // the public half
  Server server_;

  streams::Poller poller_;
  streams::Wakeup wakeup_;
  std::mutex tasksMutex_;
  std::vector<Task> tasks_;

  std::map<std::string, std::unique_ptr<Record>> records_;
  std::map<std::uint64_t, std::string> tokens_;  // pidfds in the poller
  std::uint64_t nextToken_ = 2;
  std::map<std::string, std::shared_ptr<sandbox::Container>> unknown_;
  std::map<std::string, model::DesiredTenant> tenants_;  // those that the launcher may have from us, by id
  std::set<std::string> namedTenants_;
  std::set<std::string> namedBlobs_;
  std::set<std::string> toldRefused_;
  bool certified_ = false;  // the latest work was certified, by the server itself
  std::int64_t observed_ = 0;
  bool dirty_ = true;
  std::uint64_t version_ = 0;
  Millis garbageAt_ = 0;
  Millis callsAt_ = 0;
  Millis disksAt_ = 0;

  std::mutex targetsMutex_;
  std::map<std::string, Sessions::Target> targets_;

  // Last, so that they end first; what a thread uses stands above it.
  std::unique_ptr<MeterLoop> meter_;
  std::unique_ptr<LayerCache> layers_;
  std::unique_ptr<Runtime> runtime_;
  std::unique_ptr<LogPump> logs_;
  std::unique_ptr<HealthProber> health_;
  std::unique_ptr<Workers> workers_;
  std::unique_ptr<Reporter> reporter_;
  std::unique_ptr<Builds> builds_;
  std::unique_ptr<Sessions> sessions_;
  std::unique_ptr<WorkSource> source_;
};

}  // namespace cloister::node
