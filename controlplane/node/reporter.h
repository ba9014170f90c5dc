// Reporter: tells the server what the node sees (on change and every 5 s), what AppArmor refused, and hands over
// metering batches.
//
// Threads: one of its own; the rest may be called by any. Failures: a server that is away is tried again each second;
// events wait meanwhile, at most kMaxEvents of them, the oldest going first.
#pragma once

#include <condition_variable>
#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "controlplane/model/node_protocol.h"
#include "controlplane/node/denial_watch.h"
#include "controlplane/node/launcher.h"
#include "controlplane/node/server.h"
#include "metering/readings/spool.h"

namespace cloister::node {

class Reporter {
 public:
  static constexpr std::size_t kMaxEvents = 1000;
  // `told` is called with the version of each snapshot that the server has taken.
  using Told = std::function<void(std::uint64_t version)>;
  // What goes along with each status.
  using Pressures = std::function<std::vector<model::PressureReport>()>;

  Reporter(const Server& server, Launcher& launcher, metering::Spool& spool, Told told, Pressures pressures);
  ~Reporter();
  Reporter(const Reporter&) = delete;
  Reporter& operator=(const Reporter&) = delete;

  void start();
  // `status` without events, posture and pressures: the reporter has those.
  void update(model::NodeStatus status, std::uint64_t version);
  void event(model::EventReport event);
  // Ids of the tenants on this host.
  void know(std::map<TenantIndex, std::string> tenants) { denials_.know(std::move(tenants)); }

 private:
  void run();
  [[nodiscard]] bool postStatus();
  void postUsage();
  void refreshPosture();

  const Server& server_;
  Launcher& launcher_;
  metering::Spool& spool_;
  Told told_;
  Pressures pressures_;
  DenialWatch denials_;
  std::mutex mutex_;
  std::condition_variable wake_;
  model::NodeStatus status_;
  std::uint64_t version_ = 0;
  bool changed_ = false;
  bool stopping_ = false;
  std::deque<model::EventReport> events_;
  std::vector<model::PostureCheck> posture_;
  std::thread thread_;
};

}  // namespace cloister::node
