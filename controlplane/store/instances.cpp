#include "controlplane/store/instances.h"

#include <algorithm>
#include <set>

#include "controlplane/store/store.h"

namespace cloister::store {
namespace {

// Long enough for the last packets and counters of the address' former owner.
constexpr model::Micros kAddressRest = 10'000'000;

InstanceRecord readInstance(const Statement& row) {
  InstanceRecord record;
  auto& instance = record.instance;
  row.get(0, instance.id);
  row.get(1, instance.tenantId);
  row.get(2, instance.appId);
  row.get(3, instance.release);
  row.get(4, instance.process);
  row.get(5, instance.nodeId);
  row.get(6, instance.address);
  row.get(7, instance.port);
  record.kind = row.integer(8) != 0 ? InstanceKind::oneOff : InstanceKind::service;
  row.get(9, record.limits.memoryBytes);
  row.get(10, record.limits.cpuMillis);
  row.get(11, record.limits.pids);
  row.get(12, record.limits.diskBytes);
  row.get(13, record.limits.inodes);
  instance.desired = model::desiredState(row.text(14)).value_or(model::DesiredState::run);
  instance.state = model::instanceState(row.text(15)).value_or(model::InstanceState::pending);
  row.get(16, instance.restarts);
  row.get(17, instance.reason);
  row.get(18, instance.createdAt);
  row.get(19, instance.changedAt);
  row.get(20, record.startedAt);
  row.get(21, record.readyAt);
  row.get(22, record.drainedAt);
  row.get(23, record.stopRevision);
  row.get(24, record.readySince);
  row.get(25, record.settledAt);
  row.get(26, instance.nextStartAt);
  return record;
}

#define INSTANCE_COLUMNS                                                                                       \
  "SELECT id, tenant_id, app_id, release, process, node_id, address, port, one_off, memory_bytes, cpu_millis," \
  " pids, disk_bytes, inodes, desired, state, restarts, reason, created_at, changed_at, started_at, ready_at," \
  " drained_at, stop_revision, ready_since, settled_at, next_start_at FROM instances "

std::vector<InstanceRecord> readAll(Statement& query) {
  std::vector<InstanceRecord> records;
  while (query.step()) records.push_back(readInstance(query));
  return records;
}

void charge(const std::string& plan, const char* limit, std::uint64_t used, std::uint64_t asked,
            std::uint64_t allowed) {
  const auto left = allowed > used ? allowed - used : 0;
  if (asked > left) throw QuotaExceeded(limit, "", asked, left, plan);
}

}  // namespace

model::PlanLimits withSurge(model::PlanLimits plan) {
  const auto part = [&](std::uint64_t limit) {
    return limit / 100 * plan.surgePercent + limit % 100 * plan.surgePercent / 100;
  };
  plan.memoryBytes += part(plan.memoryBytes);
  plan.diskBytes += part(plan.diskBytes);
  // One more is the least that a surge can mean.
  if (plan.surgePercent > 0) plan.instances += std::max<std::uint64_t>(plan.instances * plan.surgePercent / 100, 1);
  return plan;
}

InstanceRecord Instances::admit(InstanceRecord record, Room room) {
  return store_.transact([&] {
    auto& instance = record.instance;
    const auto tenant = store_.tenants().get(instance.tenantId);
    auto plan = store_.plans().get(tenant.plan).limits;
    if (room == Room::surge) plan = withSurge(plan);
    const auto held = use(tenant.id);
    charge(tenant.plan, "instances", held.instances, 1, plan.instances);
    charge(tenant.plan, "memoryBytes", held.memoryBytes, record.limits.memoryBytes, plan.memoryBytes);
    charge(tenant.plan, "diskBytes", held.diskBytes, record.limits.diskBytes, plan.diskBytes);
    instance.id = newId("in");
    instance.address = store_.addresses().allocate(instance.nodeId, tenant.index, instance.id);
    instance.desired = model::DesiredState::run;
    instance.state = model::InstanceState::pending;
    instance.createdAt = instance.changedAt = now();
    const auto& limits = record.limits;
    store_.database().run(
        "INSERT INTO instances (id, tenant_id, app_id, release, process, node_id, address, port, one_off, memory_bytes,"
        " cpu_millis, pids, disk_bytes, inodes, desired, state, created_at, changed_at)"
        " VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17, ?17)",
        instance.id, instance.tenantId, instance.appId, instance.release, instance.process, instance.nodeId,
        instance.address, instance.port, record.kind == InstanceKind::oneOff, limits.memoryBytes, limits.cpuMillis,
        limits.pids, limits.diskBytes, limits.inodes, std::string_view(model::name(instance.desired)),
        std::string_view(model::name(instance.state)), instance.createdAt);
    store_.bumpRevision();
    return record;
  });
}

std::optional<InstanceRecord> Instances::find(const std::string& id) const {
  const auto lock = store_.lock();
  auto query = store_.database().prepare(INSTANCE_COLUMNS "WHERE id = ?1");
  query.bind(id);
  if (!query.step()) return std::nullopt;
  return readInstance(query);
}

InstanceRecord Instances::get(const std::string& id) const {
  auto record = find(id);
  if (!record) throw NotFound("instance", id);
  return *record;
}

std::vector<InstanceRecord> Instances::all() const {
  const auto lock = store_.lock();
  auto query = store_.database().prepare(INSTANCE_COLUMNS "ORDER BY id");
  return readAll(query);
}

std::vector<InstanceRecord> Instances::ofTenant(const std::string& tenantId, const Page& page) const {
  const auto lock = store_.lock();
  auto query = store_.database().prepare(INSTANCE_COLUMNS "WHERE tenant_id = ?1 AND id > ?2 ORDER BY id LIMIT ?3");
  query.bind(tenantId, page.after, page.limit);
  return readAll(query);
}

std::vector<InstanceRecord> Instances::ofApp(const std::string& appId, const Page& page) const {
  const auto lock = store_.lock();
  auto query = store_.database().prepare(INSTANCE_COLUMNS "WHERE app_id = ?1 AND id > ?2 ORDER BY id LIMIT ?3");
  query.bind(appId, page.after, page.limit);
  return readAll(query);
}

#undef INSTANCE_COLUMNS

void Instances::update(const InstanceRecord& record) {
  store_.transact([&] {
    const auto& instance = record.instance;
    store_.database().run(
        "UPDATE instances SET desired = ?2, state = ?3, restarts = ?4, reason = ?5, changed_at = ?6, started_at = ?7,"
        " ready_at = ?8, drained_at = ?9, stop_revision = ?10, ready_since = ?11, settled_at = ?12, next_start_at = ?13"
        " WHERE id = ?1",
        instance.id, std::string_view(model::name(instance.desired)), std::string_view(model::name(instance.state)),
        instance.restarts, instance.reason, instance.changedAt, record.startedAt, record.readyAt, record.drainedAt,
        record.stopRevision, record.readySince, record.settledAt, instance.nextStartAt);
  });
}

void Instances::erase(const std::string& id) {
  store_.transact([&] {
    store_.addresses().release(id);
    store_.database().run("DELETE FROM instances WHERE id = ?1", id);
    store_.bumpRevision();
  });
}

QuotaUse Instances::use(const std::string& tenantId) const {
  const auto lock = store_.lock();
  auto query = store_.database().prepare(
      "SELECT COUNT(*), COALESCE(SUM(memory_bytes), 0), COALESCE(SUM(disk_bytes), 0) FROM instances WHERE tenant_id = "
      "?1");
  query.bind(tenantId);
  QuotaUse held;
  if (query.step()) {
    query.get(0, held.instances);
    query.get(1, held.memoryBytes);
    query.get(2, held.diskBytes);
  }
  return held;
}

Ipv4 Addresses::allocate(const std::string& nodeId, TenantIndex tenant, const std::string& owner) {
  return store_.transact([&] {
    const auto first = gatewayOf(tenant) + 1;
    const auto last = subnetOf(tenant) + 254;
    store_.database().run(
        "DELETE FROM addresses WHERE node_id = ?1 AND address BETWEEN ?2 AND ?3 AND released_at > 0 AND released_at < "
        "?4",
        nodeId, first, last, now() - kAddressRest);
    auto query =
        store_.database().prepare("SELECT address FROM addresses WHERE node_id = ?1 AND address BETWEEN ?2 AND ?3");
    query.bind(nodeId, first, last);
    std::set<std::int64_t> taken;
    while (query.step()) taken.insert(query.integer(0));
    for (Ipv4 address = first; address <= last; ++address) {
      if (taken.contains(address)) continue;
      store_.database().run("INSERT INTO addresses (node_id, address, owner) VALUES (?1, ?2, ?3)", nodeId, address,
                            owner);
      return address;
    }
    throw Conflict("addresses_exhausted", "", "the tenant has no free address on this node");
  });
}

void Addresses::release(const std::string& owner) {
  store_.transact([&] {
    store_.database().run("UPDATE addresses SET released_at = ?2 WHERE owner = ?1 AND released_at = 0", owner, now());
  });
}

}  // namespace cloister::store
