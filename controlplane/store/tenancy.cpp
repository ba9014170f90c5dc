#include "controlplane/store/tenancy.h"

#include "controlplane/model/limit_names.h"
#include "controlplane/store/store.h"
#include "sandbox/base/identity.h"

namespace cloister::store {
namespace {

constexpr const char* kLabelRule = "must be a DNS label: 1 to 63 of a-z, 0-9 and -, no - at an end";

// In the order of readPlan().
constexpr const char* kPlanColumns =
    "name, memory_bytes, cpu_millis, pids, disk_bytes, inodes, network_bits_per_second, instances, apps,"
    " build_memory_bytes, build_disk_bytes, build_seconds, memory_high_bytes, cpu_burst_millis,"
    " disk_bytes_per_second, disk_operations_per_second, releases, image_disk_bytes, surge_percent,"
    " revision";

model::Plan readPlan(const Statement& row) {
  model::Plan plan;
  row.get(0, plan.name);
  row.get(1, plan.limits.memoryBytes);
  row.get(2, plan.limits.cpuMillis);
  row.get(3, plan.limits.pids);
  row.get(4, plan.limits.diskBytes);
  row.get(5, plan.limits.inodes);
  row.get(6, plan.limits.networkBitsPerSecond);
  row.get(7, plan.limits.instances);
  row.get(8, plan.limits.apps);
  row.get(9, plan.limits.buildMemoryBytes);
  row.get(10, plan.limits.buildDiskBytes);
  row.get(11, plan.limits.buildSeconds);
  row.get(12, plan.limits.memoryHighBytes);
  row.get(13, plan.limits.cpuBurstMillis);
  row.get(14, plan.limits.diskBytesPerSecond);
  row.get(15, plan.limits.diskOperationsPerSecond);
  row.get(16, plan.limits.releases);
  row.get(17, plan.limits.imageDiskBytes);
  row.get(18, plan.limits.surgePercent);
  row.get(19, plan.revision);
  return plan;
}

model::Tenant readTenant(const Statement& row) {
  model::Tenant tenant;
  row.get(0, tenant.id);
  row.get(1, tenant.name);
  row.get(2, tenant.plan);
  tenant.state = model::tenantState(row.text(3)).value_or(model::TenantState::suspended);
  row.get(4, tenant.index);
  row.get(5, tenant.createdAt);
  row.get(6, tenant.revision);
  return tenant;
}

void checkLimits(const model::PlanLimits& limits) {
  const auto positive = [](const char* field, std::uint64_t value) {
    if (value == 0) throw Invalid(std::string("limits.") + field, model::limitTyped(field) + " must not be zero");
    // The database's integers are signed.
    if (value > (1ULL << 62U))
      throw Invalid(std::string("limits.") + field, model::limitTyped(field) + " is too large");
  };
  positive("memoryBytes", limits.memoryBytes);
  positive("cpuMillis", limits.cpuMillis);
  positive("pids", limits.pids);
  positive("diskBytes", limits.diskBytes);
  positive("inodes", limits.inodes);
  positive("buildMemoryBytes", limits.buildMemoryBytes);
  positive("buildDiskBytes", limits.buildDiskBytes);
  positive("buildSeconds", limits.buildSeconds);
  positive("instances", limits.instances + 1);
  positive("apps", limits.apps + 1);
  positive("networkBitsPerSecond", limits.networkBitsPerSecond + 1);
  positive("memoryHighBytes", limits.memoryHighBytes + 1);
  positive("cpuBurstMillis", limits.cpuBurstMillis + 1);
  positive("diskBytesPerSecond", limits.diskBytesPerSecond + 1);
  positive("diskOperationsPerSecond", limits.diskOperationsPerSecond + 1);
  positive("releases", limits.releases);
  positive("imageDiskBytes", limits.imageDiskBytes);
  if (limits.surgePercent > 100) throw Invalid("limits.surgePercent", "surgePercent must be 0 to 100");
}

}  // namespace

model::Plan Plans::create(const std::string& name, const model::PlanLimits& limits) {
  if (!validLabel(name)) throw Invalid("name", kLabelRule);
  checkLimits(limits);
  return store_.transact([&] {
    if (find(name)) throw Conflict("name_taken", "name", "there is a plan \"" + name + "\" already");
    store_.database().run(
        "INSERT INTO plans (name, memory_bytes, cpu_millis, pids, disk_bytes, inodes, network_bits_per_second,"
        " instances, apps, build_memory_bytes, build_disk_bytes, build_seconds, memory_high_bytes, cpu_burst_millis,"
        " disk_bytes_per_second, disk_operations_per_second, releases, image_disk_bytes, surge_percent)"
        " VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17, ?18, ?19)",
        name, limits.memoryBytes, limits.cpuMillis, limits.pids, limits.diskBytes, limits.inodes,
        limits.networkBitsPerSecond, limits.instances, limits.apps, limits.buildMemoryBytes, limits.buildDiskBytes,
        limits.buildSeconds, limits.memoryHighBytes, limits.cpuBurstMillis, limits.diskBytesPerSecond,
        limits.diskOperationsPerSecond, limits.releases, limits.imageDiskBytes, limits.surgePercent);
    return model::Plan{name, limits, 1};
  });
}

std::optional<model::Plan> Plans::find(const std::string& name) const {
  const auto lock = store_.lock();
  auto query = store_.database().prepare(std::string("SELECT ") + kPlanColumns + " FROM plans WHERE name = ?1");
  query.bind(name);
  if (!query.step()) return std::nullopt;
  return readPlan(query);
}

model::Plan Plans::get(const std::string& name) const {
  auto plan = find(name);
  if (!plan) throw NotFound("plan", name);
  return *plan;
}

std::vector<model::Plan> Plans::list(const Page& page) const {
  const auto lock = store_.lock();
  auto query = store_.database().prepare(std::string("SELECT ") + kPlanColumns +
                                         " FROM plans WHERE name > ?1 ORDER BY name LIMIT ?2");
  query.bind(page.after, page.limit);
  std::vector<model::Plan> plans;
  while (query.step()) plans.push_back(readPlan(query));
  return plans;
}

model::Plan Plans::update(const std::string& name, const model::PlanLimits& limits,
                          std::optional<std::int64_t> ifMatch) {
  checkLimits(limits);
  return store_.transact([&] {
    auto plan = get(name);
    if (ifMatch && *ifMatch != plan.revision) throw Stale(plan.revision);
    store_.database().run(
        "UPDATE plans SET memory_bytes = ?2, cpu_millis = ?3, pids = ?4, disk_bytes = ?5, inodes = ?6,"
        " network_bits_per_second = ?7, instances = ?8, apps = ?9, build_memory_bytes = ?10, build_disk_bytes = ?11,"
        " build_seconds = ?12, memory_high_bytes = ?13, cpu_burst_millis = ?14, disk_bytes_per_second = ?15,"
        " disk_operations_per_second = ?16, releases = ?17, image_disk_bytes = ?18, surge_percent = ?19, revision = "
        "revision + 1 WHERE name "
        "= ?1",
        name, limits.memoryBytes, limits.cpuMillis, limits.pids, limits.diskBytes, limits.inodes,
        limits.networkBitsPerSecond, limits.instances, limits.apps, limits.buildMemoryBytes, limits.buildDiskBytes,
        limits.buildSeconds, limits.memoryHighBytes, limits.cpuBurstMillis, limits.diskBytesPerSecond,
        limits.diskOperationsPerSecond, limits.releases, limits.imageDiskBytes, limits.surgePercent);
    store_.bumpRevision();
    plan.limits = limits;
    ++plan.revision;
    return plan;
  });
}

void Plans::remove(const std::string& name) {
  store_.transact([&] {
    (void)get(name);
    auto query = store_.database().prepare("SELECT COUNT(*) FROM tenants WHERE plan = ?1");
    query.bind(name);
    if (query.step() && query.integer(0) > 0) {
      throw Conflict("plan_in_use", "name", std::to_string(query.integer(0)) + " tenants are on plan \"" + name + "\"");
    }
    store_.database().run("DELETE FROM plans WHERE name = ?1", name);
  });
}

model::Tenant Tenants::create(const std::string& name, const std::string& plan) {
  if (!validLabel(name)) throw Invalid("name", kLabelRule);
  return store_.transact([&] {
    if (!store_.plans().find(plan)) throw Invalid("plan", "no plan \"" + plan + "\"", "plan_not_found");
    auto taken = store_.database().prepare("SELECT 1 FROM tenants WHERE name = ?1");
    taken.bind(name);
    if (taken.step()) throw Conflict("name_taken", "name", "there is a tenant \"" + name + "\" already");
    store_.database().run("UPDATE counters SET value = value + 1 WHERE name = 'tenant'");
    auto counter = store_.database().prepare("SELECT value FROM counters WHERE name = 'tenant'");
    if (!counter.step() || counter.integer(0) > static_cast<std::int64_t>(kLastTenant)) {
      throw Conflict("tenants_exhausted", "", "every tenant index of this installation was given");
    }
    model::Tenant tenant;
    tenant.id = newId("tn");
    tenant.name = name;
    tenant.plan = plan;
    counter.get(0, tenant.index);
    tenant.createdAt = now();
    store_.database().run(
        "INSERT INTO tenants (id, name, plan, state, tenant_index, created_at) VALUES (?1, ?2, ?3, 'active', ?4, ?5)",
        tenant.id, name, plan, tenant.index, tenant.createdAt);
    store_.ledgerOutbox().appendChange(tenant.id, "plan", "", plan);
    store_.bumpRevision();
    return tenant;
  });
}

std::optional<model::Tenant> Tenants::find(const std::string& nameOrId) const {
  const auto lock = store_.lock();
  // A name could look like an id; the id wins, so that nobody can shadow another tenant.
  auto query = store_.database().prepare(
      "SELECT id, name, plan, state, tenant_index, created_at, revision FROM tenants WHERE id = ?1 OR name = ?1"
      " ORDER BY id = ?1 DESC LIMIT 1");
  query.bind(nameOrId);
  if (!query.step()) return std::nullopt;
  return readTenant(query);
}

model::Tenant Tenants::get(const std::string& nameOrId) const {
  auto tenant = find(nameOrId);
  if (!tenant) throw NotFound("tenant", nameOrId);
  return *tenant;
}

std::vector<model::Tenant> Tenants::list(const Page& page) const {
  const auto lock = store_.lock();
  auto query = store_.database().prepare(
      "SELECT id, name, plan, state, tenant_index, created_at, revision FROM tenants WHERE name > ?1 ORDER BY name"
      " LIMIT ?2");
  query.bind(page.after, page.limit);
  std::vector<model::Tenant> tenants;
  while (query.step()) tenants.push_back(readTenant(query));
  return tenants;
}

model::Tenant Tenants::setPlan(const std::string& id, const std::string& plan, std::optional<std::int64_t> ifMatch) {
  return store_.transact([&] {
    const auto tenant = get(id);
    if (ifMatch && *ifMatch != tenant.revision) throw Stale(tenant.revision);
    if (!store_.plans().find(plan)) throw Invalid("plan", "no plan \"" + plan + "\"", "plan_not_found");
    store_.database().run("UPDATE tenants SET plan = ?2, revision = revision + 1 WHERE id = ?1", tenant.id, plan);
    if (plan != tenant.plan) store_.ledgerOutbox().appendChange(tenant.id, "plan", tenant.plan, plan);
    store_.bumpRevision();
    return get(tenant.id);
  });
}

model::Tenant Tenants::setState(const std::string& id, model::TenantState state) {
  return store_.transact([&] {
    const auto tenant = get(id);
    if (tenant.state == state) return tenant;
    store_.database().run("UPDATE tenants SET state = ?2, revision = revision + 1 WHERE id = ?1", tenant.id,
                          std::string_view(model::name(state)));
    store_.ledgerOutbox().appendChange(tenant.id, "state", model::name(tenant.state), model::name(state));
    store_.bumpRevision();
    return get(tenant.id);
  });
}

void Tenants::erase(const std::string& id) {
  store_.transact([&] {
    store_.database().run("DELETE FROM instances WHERE tenant_id = ?1", id);
    if (const auto tenant = find(id)) {
      const auto subnet = subnetOf(tenant->index);
      store_.database().run("DELETE FROM addresses WHERE address BETWEEN ?1 AND ?2", subnet, subnet + 255);
      store_.images().account(tenant->id);
      store_.ledgerOutbox().appendChange(tenant->id, "plan", tenant->plan, "");
    }
    store_.database().run("DELETE FROM tenants WHERE id = ?1", id);
    store_.bumpRevision();
  });
}

}  // namespace cloister::store
