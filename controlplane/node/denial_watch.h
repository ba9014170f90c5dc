// DenialWatch: what AppArmor refused to tenants' processes on this host, as events of their owners.
//
// The launcher reads the kernel's log and hands over its records by their sequence. The first poll of a node's life
// only finds where the log stands: what was refused before has been reported by the life before, or is lost. Threads:
// know() any, poll() one. Failures: a launcher that is away is asked again by the next poll.
#pragma once

#include <cstdint>
#include <map>
#include <mutex>
#include <string>
#include <vector>

#include "controlplane/model/node_protocol.h"
#include "controlplane/node/launcher.h"

namespace cloister::node {

class DenialWatch {
 public:
  explicit DenialWatch(Launcher& launcher) : launcher_(launcher) {}
  // Ids of the tenants on this host; denials of others are dropped.
  void know(std::map<TenantIndex, std::string> tenants);
  [[nodiscard]] std::vector<model::EventReport> poll();

 private:
  Launcher& launcher_;
  std::mutex mutex_;
  std::map<TenantIndex, std::string> tenants_;
  std::uint64_t seen_ = 0;
  bool first_ = true;
};

// "open /proc/sysrq-trigger, by sh"; bytes that are not printable ASCII become '?'.
[[nodiscard]] std::string denialText(const launcher::Denial& denial);

}  // namespace cloister::node
