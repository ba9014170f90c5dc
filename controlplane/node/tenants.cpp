#include "controlplane/node/tenants.h"

#include <fcntl.h>

#include <array>

#include "metering/readings/cgroup_reader.h"
#include "metering/readings/pressure.h"
#include "sandbox/base/counters.h"
#include "sandbox/base/files.h"

namespace cloister::node {

launcher::TenantPutRequest tenantRequest(const model::DesiredTenant& tenant) {
  launcher::TenantPutRequest request;
  request.tenant = tenant.index;
  request.limits.memoryBytes = tenant.limits.memoryBytes + tenant.limits.buildMemoryBytes;
  request.limits.cpuMillis = tenant.limits.cpuMillis;
  request.limits.pids = tenant.limits.pids;
  request.limits.networkBitsPerSecond = tenant.limits.networkBitsPerSecond;
  if (tenant.limits.memoryHighBytes != 0) {
    request.limits.memoryHighBytes = tenant.limits.memoryHighBytes + tenant.limits.buildMemoryBytes;
  }
  request.limits.cpuBurstMillis = tenant.limits.cpuBurstMillis;
  request.limits.diskBytesPerSecond = tenant.limits.diskBytesPerSecond;
  request.limits.diskOperationsPerSecond = tenant.limits.diskOperationsPerSecond;
  request.egress = launcher::Egress::internet;
  return request;
}

void Tenants::know(const model::DesiredTenant& tenant) {
  const std::lock_guard lock(mutex_);
  known_[tenant.index] = tenantRequest(tenant);
}

Status Tenants::ensure(const model::DesiredTenant& tenant) {
  const std::lock_guard lock(mutex_);
  const auto& request = known_.try_emplace(tenant.index, tenantRequest(tenant)).first->second;
  const std::string text = launcher::encode(request);
  const auto known = told_.find(tenant.index);
  if (known != told_.end() && known->second == text) return {};
  auto group = launcher_.putTenant(request);
  if (!group) return group.error();
  // A group whose CPU cannot be read is no reason to refuse the tenant: it is then not reconciled.
  auto cpuStat = files::openAt(group->get(), "cpu.stat", O_RDONLY);
  const auto inode = counters::inodeOf(group->get());
  groups_[tenant.index] = {tenant.id, std::move(*group), cpuStat ? std::move(cpuStat).value() : UniqueFd(),
                           inode ? *inode : 0};
  told_[tenant.index] = text;
  return {};
}

void Tenants::forget() {
  const std::lock_guard lock(mutex_);
  told_.clear();
}

std::vector<Tenants::GroupCpu> Tenants::groupCpu() {
  constexpr std::uint64_t kNanosAMicro = 1000;
  const std::lock_guard lock(mutex_);
  std::vector<GroupCpu> all;
  all.reserve(groups_.size());
  std::array<char, 1024> buffer{};
  for (const auto& [index, group] : groups_) {
    if (!group.cpuStat || group.inode == 0) continue;
    const auto text = counters::readAgain(group.cpuStat.get(), buffer.data(), buffer.size());
    const auto micros = text ? metering::parseKey(*text, "usage_usec") : std::nullopt;
    if (micros) all.push_back({group.tenantId, group.inode, *micros * kNanosAMicro});
  }
  return all;
}

std::vector<model::PressureReport> Tenants::pressures() {
  const std::lock_guard lock(mutex_);
  std::vector<model::PressureReport> all;
  for (const auto& [index, group] : groups_) {
    for (const auto& stall : metering::readPressure(group.directory.get())) {
      all.push_back({group.tenantId, stall.resource, stall.kind, stall.micros});
    }
  }
  return all;
}

Status Tenants::remove(TenantIndex tenant) {
  const std::lock_guard lock(mutex_);
  told_.erase(tenant);
  known_.erase(tenant);
  groups_.erase(tenant);
  return launcher_.removeTenant(tenant);
}

}  // namespace cloister::node
