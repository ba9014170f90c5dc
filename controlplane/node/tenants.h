// Tenants: which tenants the launcher knows from us, with which limits.
//
// Threads: any. Failures: the launcher's own; what failed is asked again by the next ensure().
#pragma once

#include <map>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "controlplane/model/node_protocol.h"
#include "controlplane/node/launcher.h"
#include "metering/readings/reading.h"

namespace cloister::node {

// The group of a tenant holds its instances' memory and, beside it, one build's.
[[nodiscard]] launcher::TenantPutRequest tenantRequest(const model::DesiredTenant& tenant);

class Tenants {
 public:
  explicit Tenants(Launcher& launcher) : launcher_(launcher) {}
  // The limits that hold from now on; what still carries older ones does not bring them back.
  void know(const model::DesiredTenant& tenant);
  // The launcher has the tenant, with the limits known last, afterwards.
  [[nodiscard]] Status ensure(const model::DesiredTenant& tenant);
  // The launcher began a new life: tell it all again.
  void forget();
  // A tenant that has nothing left here. Unknown ones are fine.
  [[nodiscard]] Status remove(TenantIndex tenant);
  // CPU of each tenant's own group since it was made.
  struct GroupCpu {
    std::string tenantId;
    std::uint64_t inode = 0;
    std::uint64_t nanos = 0;
  };
  struct CpuOfGroups {
    std::vector<GroupCpu> tenants;
    std::optional<metering::HostCpu> host;  // once a tenant has been here, where the kernel tells
  };
  [[nodiscard]] CpuOfGroups groupCpu();
  // How long the processes of each tenant here have waited.
  [[nodiscard]] std::vector<model::PressureReport> pressures();

 private:
  Launcher& launcher_;
  std::mutex mutex_;
  std::map<TenantIndex, launcher::TenantPutRequest> known_;
  std::map<TenantIndex, std::string> told_;  // the request as it went out
  struct Group {
    std::string tenantId;
    UniqueFd directory;
    UniqueFd cpuStat;
    std::uint64_t inode = 0;
  };
  std::map<TenantIndex, Group> groups_;
  // cpu.stat of the group that the tenants' groups are in, and of all there is.
  struct Host {
    UniqueFd groups;
    std::uint64_t inode = 0;  // of that file
    UniqueFd total;
  };
  std::optional<Host> host_;

  void findHost(int group);
};

}  // namespace cloister::node
