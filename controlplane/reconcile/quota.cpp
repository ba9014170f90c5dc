#include "controlplane/reconcile/quota.h"

#include <algorithm>

namespace cloister::reconcile {
namespace {

constexpr std::uint64_t kDefaultShare = 256ULL << 20U;

std::uint64_t bounded(std::uint64_t wish, std::uint64_t fallback, std::uint64_t limit, const std::string& plan,
                      const char* name, const char* field) {
  if (wish > limit) throw store::QuotaExceeded(name, field, wish, limit, plan);
  return wish == 0 ? std::min(fallback, limit) : wish;
}

struct Sum {
  std::uint64_t instances = 0;
  std::uint64_t memoryBytes = 0;
  std::uint64_t diskBytes = 0;

  void add(const model::Manifest& manifest, const std::map<std::string, std::int64_t>& formation,
           const model::InstanceLimits& each) {
    for (const auto& [process, command] : manifest.processes) {
      const auto count = wanted(manifest, formation, process);
      instances += count;
      memoryBytes += count * each.memoryBytes;
      diskBytes += count * each.diskBytes;
    }
  }
};

void refuseOver(const std::string& plan, const char* limit, const std::string& field, std::uint64_t others,
                std::uint64_t asked, std::uint64_t allowed) {
  if (others + asked > allowed)
    throw store::QuotaExceeded(limit, field, asked, allowed > others ? allowed - others : 0, plan);
}

// Empty: there is room.
std::string lacking(const std::string& plan, const char* limit, std::uint64_t held, std::uint64_t asked,
                    std::uint64_t allowed) {
  if (held + asked <= allowed) return {};
  return store::QuotaExceeded(limit, "", asked, allowed > held ? allowed - held : 0, plan).what();
}

}  // namespace

model::InstanceLimits instanceLimits(const model::Manifest& manifest, const model::PlanLimits& plan,
                                     const std::string& planName) {
  model::InstanceLimits limits;
  limits.memoryBytes =
      bounded(manifest.memoryBytes, kDefaultShare, plan.memoryBytes, planName, "memoryBytes", "limits.memory");
  limits.diskBytes = bounded(manifest.diskBytes, kDefaultShare, plan.diskBytes, planName, "diskBytes", "limits.disk");
  limits.cpuMillis = bounded(manifest.cpuMillis, plan.cpuMillis, plan.cpuMillis, planName, "cpuMillis", "limits.cpu");
  limits.pids = bounded(manifest.pids, plan.pids, plan.pids, planName, "pids", "limits.pids");
  // A share of the plan's inodes by disk, rounded so that all shares together stay within the plan.
  limits.inodes =
      std::max<std::uint64_t>(plan.inodes / std::max<std::uint64_t>(plan.diskBytes / limits.diskBytes, 1), 1);
  return limits;
}

model::InstanceLimits buildLimits(const model::PlanLimits& plan) {
  return {plan.buildMemoryBytes, plan.cpuMillis, plan.pids, plan.buildDiskBytes, plan.inodes};
}

std::size_t wanted(const model::Manifest& manifest, const std::map<std::string, std::int64_t>& formation,
                   const std::string& process) {
  if (!manifest.processes.contains(process)) return 0;
  const auto found = formation.find(process);
  return found == formation.end() || found->second < 0 ? 0 : static_cast<std::size_t>(found->second);
}

void checkFormations(store::Store& store, const model::Tenant& tenant, const std::string& appId,
                     const model::Manifest& manifest, const std::map<std::string, std::int64_t>& formation,
                     const std::string& field) {
  const auto plan = store.plans().get(tenant.plan);
  Sum others;
  for (const auto& app : store.apps().list(tenant.id, {"", 1'000'000})) {
    if (app.id == appId || app.currentRelease == 0 || store.apps().removing(app.id)) continue;
    const auto release = store.releases().get(app.id, app.currentRelease);
    auto limits = model::InstanceLimits{};
    try {
      limits = instanceLimits(release.manifest, plan.limits);
    } catch (const store::QuotaExceeded&) {
      continue;  // the plan shrank below what this app wants: it does not start, so it takes nothing
    }
    others.add(release.manifest, app.formation, limits);
  }
  Sum asked;
  asked.add(manifest, formation, instanceLimits(manifest, plan.limits, plan.name));
  refuseOver(plan.name, "instances", field, others.instances, asked.instances, plan.limits.instances);
  refuseOver(plan.name, "memoryBytes", field, others.memoryBytes, asked.memoryBytes, plan.limits.memoryBytes);
  refuseOver(plan.name, "diskBytes", field, others.diskBytes, asked.diskBytes, plan.limits.diskBytes);
}

std::string stopsFirst(store::Store& store, const model::App& app, const model::Manifest& manifest) {
  const auto tenant = store.tenants().get(app.tenantId);
  const auto plan = store.plans().get(tenant.plan).limits;
  const auto limit = store::withSurge(plan);
  const auto held = store.instances().use(tenant.id);
  const auto each = instanceLimits(manifest, plan, tenant.plan);
  auto missing = lacking(tenant.plan, "memoryBytes", held.memoryBytes, each.memoryBytes, limit.memoryBytes);
  if (missing.empty()) missing = lacking(tenant.plan, "diskBytes", held.diskBytes, each.diskBytes, limit.diskBytes);
  if (missing.empty()) missing = lacking(tenant.plan, "instances", held.instances, 1, limit.instances);
  if (missing.empty()) return {};
  std::map<std::string, std::size_t> running;
  for (const auto& record : store.instances().ofApp(app.id, {"", 1'000'000})) {
    const auto& instance = record.instance;
    if (record.kind != store::InstanceKind::service || instance.state != model::InstanceState::running) continue;
    if (wanted(manifest, app.formation, instance.process) > 0) ++running[instance.process];
  }
  if (running.empty()) return {};
  const auto fewest = std::min_element(running.begin(), running.end(),
                                       [](const auto& left, const auto& right) { return left.second < right.second; });
  const auto& [process, count] = *fewest;
  const auto what = count == 1 ? process + " stops before the new release starts"
                               : "one of " + std::to_string(count) + " instances of " + process +
                                     " at a time stops before its successor starts";
  return what + ", for there is no room beside it: " + missing + "; a plan with a surge starts the new one first";
}

}  // namespace cloister::reconcile
