#include "controlplane/node/tenants.h"

#include <fcntl.h>

#include <array>

#include "metering/readings/cgroup_reader.h"
#include "metering/readings/pressure.h"
#include "sandbox/base/counters.h"
#include "sandbox/base/files.h"

namespace cloister::node {

namespace {

// Nanoseconds, of a kept cpu.stat; nothing when it is not there or its group is gone.
std::optional<std::uint64_t> usageOf(const UniqueFd& cpuStat) {
  constexpr std::uint64_t kNanosAMicro = 1000;
  if (!cpuStat) return std::nullopt;
  std::array<char, 1024> buffer{};
  const auto text = counters::readAgain(cpuStat.get(), buffer.data(), buffer.size());
  const auto micros = text ? metering::parseKey(*text, "usage_usec") : std::nullopt;
  return micros ? std::optional(*micros * kNanosAMicro) : std::nullopt;
}

}  // namespace

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
  findHost(group->get());
  groups_[tenant.index] = {tenant.id, std::move(*group), cpuStat ? std::move(cpuStat).value() : UniqueFd(),
                           inode ? *inode : 0};
  told_[tenant.index] = text;
  return {};
}

void Tenants::forget() {
  const std::lock_guard lock(mutex_);
  told_.clear();
}

void Tenants::findHost(int group) {
  // Upwards as long as there are groups: the first above the tenant's is that of all tenants, the last one the host's.
  // O_PATH and no look at the directories themselves, which AppArmor would have to know by their names.
  constexpr int kDeepest = 32;
  Host host;
  auto at = files::openAt(group, "..", O_DIRECTORY | O_PATH);
  for (int depth = 0; at && depth < kDeepest; ++depth) {
    auto cpuStat = files::openAt(at->get(), "cpu.stat", O_RDONLY);
    if (!cpuStat) break;
    (host.groups ? host.total : host.groups) = std::move(cpuStat).value();
    at = files::openAt(at->get(), "..", O_DIRECTORY | O_PATH);
  }
  if (!host.groups || !host.total) return;
  if (const auto inode = counters::inodeOf(host.groups.get())) host.inode = *inode;
  if (host.inode != 0 && (!host_ || host_->inode != host.inode)) host_ = std::move(host);
}

Tenants::CpuOfGroups Tenants::groupCpu() {
  const std::lock_guard lock(mutex_);
  CpuOfGroups all;
  all.tenants.reserve(groups_.size());
  for (const auto& [index, group] : groups_) {
    if (group.inode == 0) continue;
    if (const auto nanos = usageOf(group.cpuStat)) all.tenants.push_back({group.tenantId, group.inode, *nanos});
  }
  if (!host_) return all;
  const auto groups = usageOf(host_->groups);
  const auto total = usageOf(host_->total);
  if (groups && total) all.host = metering::HostCpu{host_->inode, *groups, *total};
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
