#include "controlplane/store/apps.h"

#include <algorithm>

#include "controlplane/model/json.h"
#include "controlplane/store/quotas.h"
#include "controlplane/store/store.h"
#include "sandbox/base/identity.h"

namespace cloister::store {
namespace {

model::App readApp(const Statement& row) {
  model::App app;
  row.get(0, app.id);
  row.get(1, app.tenantId);
  row.get(2, app.name);
  row.get(3, app.currentRelease);
  app.formation = model::countMapFromJson(row.text(4));
  row.get(5, app.createdAt);
  row.get(6, app.revision);
  return app;
}

std::string lowered(std::string text) {
  std::transform(text.begin(), text.end(), text.begin(),
                 [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; });
  return text;
}

// At least two labels, 253 characters at most, and not an address.
bool validHost(const std::string& host) {
  if (host.size() > 253 || host.find('.') == std::string::npos) return false;
  std::size_t begin = 0;
  std::string last;
  while (begin <= host.size()) {
    const auto end = std::min(host.find('.', begin), host.size());
    last = host.substr(begin, end - begin);
    if (!validLabel(last)) return false;
    begin = end + 1;
  }
  return !std::all_of(last.begin(), last.end(), [](char c) { return c >= '0' && c <= '9'; });
}

}  // namespace

model::App Apps::create(const std::string& tenantId, const std::string& name) {
  if (!validLabel(name)) throw Invalid("name", "must be a DNS label: 1 to 63 of a-z, 0-9 and -, no - at an end");
  return store_.transact([&] {
    const auto tenant = store_.tenants().get(tenantId);
    if (tenant.state != model::TenantState::active) {
      throw Conflict("tenant_not_active", "tenant", "tenant \"" + tenant.name + "\" is " + model::name(tenant.state));
    }
    if (find(tenant.id, name)) throw Conflict("name_taken", "name", "there is an app \"" + name + "\" already");
    const auto limit = store_.plans().get(tenant.plan).limits.apps;
    auto count = store_.database().prepare("SELECT COUNT(*) FROM apps WHERE tenant_id = ?1");
    count.bind(tenant.id);
    const auto used = count.step() ? static_cast<std::uint64_t>(count.integer(0)) : 0;
    if (used + 1 > limit) throw QuotaExceeded("apps", "name", 1, limit > used ? limit - used : 0, tenant.plan);
    model::App app;
    app.id = newId("ap");
    app.tenantId = tenant.id;
    app.name = name;
    app.formation = {{"web", 1}};
    app.createdAt = now();
    store_.database().run("INSERT INTO apps (id, tenant_id, name, formation, created_at) VALUES (?1, ?2, ?3, ?4, ?5)",
                          app.id, app.tenantId, app.name, model::toJson(app.formation), app.createdAt);
    store_.bumpRevision();
    return app;
  });
}

std::optional<model::App> Apps::find(const std::string& tenantId, const std::string& name) const {
  const auto lock = store_.lock();
  auto query = store_.database().prepare(
      "SELECT id, tenant_id, name, current_release, formation, created_at, revision FROM apps"
      " WHERE tenant_id = ?1 AND name = ?2");
  query.bind(tenantId, name);
  if (!query.step()) return std::nullopt;
  return readApp(query);
}

model::App Apps::get(const std::string& tenantId, const std::string& name) const {
  auto app = find(tenantId, name);
  if (!app) throw NotFound("app", name);
  return *app;
}

model::App Apps::byId(const std::string& id) const {
  const auto lock = store_.lock();
  auto query = store_.database().prepare(
      "SELECT id, tenant_id, name, current_release, formation, created_at, revision FROM apps WHERE id = ?1");
  query.bind(id);
  if (!query.step()) throw NotFound("app", id);
  return readApp(query);
}

std::vector<model::App> Apps::list(const std::string& tenantId, const Page& page) const {
  const auto lock = store_.lock();
  auto query = store_.database().prepare(
      "SELECT id, tenant_id, name, current_release, formation, created_at, revision FROM apps"
      " WHERE tenant_id = ?1 AND name > ?2 ORDER BY name LIMIT ?3");
  query.bind(tenantId, page.after, page.limit);
  std::vector<model::App> apps;
  while (query.step()) apps.push_back(readApp(query));
  return apps;
}

std::vector<model::App> Apps::all() const {
  const auto lock = store_.lock();
  auto query = store_.database().prepare(
      "SELECT id, tenant_id, name, current_release, formation, created_at, revision FROM apps ORDER BY id");
  std::vector<model::App> apps;
  while (query.step()) apps.push_back(readApp(query));
  return apps;
}

void Apps::setFormation(const std::string& id, const std::map<std::string, std::int64_t>& formation) {
  store_.transact([&] {
    store_.database().run("UPDATE apps SET formation = ?2, revision = revision + 1 WHERE id = ?1", id,
                          model::toJson(formation));
  });
}

void Apps::setCurrentRelease(const std::string& id, std::int64_t version) {
  store_.transact([&] {
    store_.database().run("UPDATE apps SET current_release = ?2, revision = revision + 1 WHERE id = ?1", id, version);
  });
}

void Apps::markRemoving(const std::string& id) {
  store_.transact(
      [&] { store_.database().run("UPDATE apps SET removing = 1, revision = revision + 1 WHERE id = ?1", id); });
}

bool Apps::removing(const std::string& id) const {
  const auto lock = store_.lock();
  auto query = store_.database().prepare("SELECT removing FROM apps WHERE id = ?1");
  query.bind(id);
  return query.step() && query.integer(0) != 0;
}

void Apps::erase(const std::string& id) {
  store_.transact([&] {
    for (const auto& record : store_.instances().ofApp(id, {"", 1'000'000}))
      store_.instances().erase(record.instance.id);
    store_.database().run("DELETE FROM apps WHERE id = ?1", id);
    store_.bumpRevision();
  });
}

model::Domain Domains::add(const std::string& host, const std::string& appId) {
  const auto name = lowered(host);
  if (!validHost(name)) throw Invalid("host", "must be a host name of at least two DNS labels");
  return store_.transact([&] {
    const auto app = store_.apps().byId(appId);
    auto taken = store_.database().prepare("SELECT tenant_id FROM domains WHERE host = ?1");
    taken.bind(name);
    if (taken.step()) {
      // Who asks learns nothing of others.
      if (taken.text(0) != app.tenantId) throw domainUnavailable(name);
      throw Conflict("domain_taken", "host", "\"" + name + "\" is in use by an app of yours");
    }
    requireRoom(Quotas(store_).domains(app.tenantId), 1, "host");
    store_.database().run("INSERT INTO domains (host, app_id, tenant_id) VALUES (?1, ?2, ?3)", name, app.id,
                          app.tenantId);
    return model::Domain{name, app.id, app.tenantId};
  });
}

std::vector<model::Domain> Domains::list(const std::string& appId) const {
  const auto lock = store_.lock();
  auto query = store_.database().prepare("SELECT host, app_id, tenant_id FROM domains WHERE app_id = ?1 ORDER BY host");
  query.bind(appId);
  std::vector<model::Domain> domains;
  while (query.step()) domains.push_back({query.text(0), query.text(1), query.text(2)});
  return domains;
}

std::vector<model::Domain> Domains::all() const {
  const auto lock = store_.lock();
  auto query = store_.database().prepare("SELECT host, app_id, tenant_id FROM domains ORDER BY host");
  std::vector<model::Domain> domains;
  while (query.step()) domains.push_back({query.text(0), query.text(1), query.text(2)});
  return domains;
}

void Domains::remove(const std::string& appId, const std::string& host) {
  store_.transact([&] {
    const auto name = lowered(host);
    store_.database().run("DELETE FROM domains WHERE host = ?1 AND app_id = ?2", name, appId);
    if (store_.database().changes() == 0) throw NotFound("domain", name);
  });
}

}  // namespace cloister::store
