#include "controlplane/store/images.h"

#include "controlplane/model/json.h"
#include "controlplane/store/store.h"
#include "metering/base/calendar.h"
#include "metering/base/lifecycle.h"

namespace cloister::store {

namespace {

struct Account {
  std::string tenantId;
  model::Micros since = 0;  // 0: nothing was accounted yet
  std::uint64_t bytes = 0;
};
const std::string kAccounts =
    "SELECT id, images_since, (SELECT COALESCE(SUM(bytes), 0) FROM images WHERE tenant_id = tenants.id) FROM tenants"
    " WHERE ";

template <typename Value>
std::vector<Account> accountsWhere(Store& store, const std::string& condition, const Value& value) {
  auto query = store.database().prepare(kAccounts + condition);
  query.bind(value);
  std::vector<Account> accounts;
  while (query.step()) {
    auto& account = accounts.emplace_back();
    query.get(0, account.tenantId);
    query.get(1, account.since);
    query.get(2, account.bytes);
  }
  return accounts;
}

// A clock that was set back gives no row until it has passed the last one's end.
void settle(Store& store, const std::vector<Account>& accounts) {
  const auto moment = now();
  const auto until = moment - moment % metering::kMilli;
  std::vector<metering::UsageRow> all;
  for (const auto& account : accounts) {
    if (until <= account.since) continue;
    store.database().run("UPDATE tenants SET images_since = ?2 WHERE id = ?1", account.tenantId, until);
    if (account.since == 0) continue;
    const auto rows = metering::imageStorageRows(account.tenantId, account.bytes, account.since, until);
    all.insert(all.end(), rows.begin(), rows.end());
  }
  store.ledgerOutbox().append(all);
}

}  // namespace

void Images::account(const std::string& tenantId) {
  store_.transact([&] { settle(store_, accountsWhere(store_, "id = ?1", tenantId)); });
}

void Images::accountAll(model::Micros moment) {
  store_.transact([&] { settle(store_, accountsWhere(store_, "images_since < ?1", moment)); });
}

void Images::set(const std::string& tenantId, const std::string& digest, std::uint64_t bytes) {
  store_.transact([&] {
    account(tenantId);
    store_.database().run(
        "INSERT INTO images (tenant_id, digest, bytes) VALUES (?1, ?2, ?3)"
        " ON CONFLICT (tenant_id, digest) DO UPDATE SET bytes = excluded.bytes",
        tenantId, digest, bytes);
  });
}

std::map<std::string, std::uint64_t> Images::of(const std::string& tenantId) const {
  const auto lock = store_.lock();
  auto query = store_.database().prepare("SELECT digest, bytes FROM images WHERE tenant_id = ?1");
  query.bind(tenantId);
  std::map<std::string, std::uint64_t> sizes;
  while (query.step()) query.get(1, sizes[query.text(0)]);
  return sizes;
}

void Images::erase(const std::string& tenantId, const std::string& digest) {
  store_.transact([&] {
    account(tenantId);
    store_.database().run("DELETE FROM images WHERE tenant_id = ?1 AND digest = ?2", tenantId, digest);
  });
}

std::vector<std::string> BuildLayers::inputsOf(const model::Build& build) {
  const auto framed = [](const std::string& text) { return "\n" + std::to_string(text.size()) + ":" + text; };
  std::vector<std::string> keys;
  std::string text = "layer 1" + framed(build.baseDigest) + framed(model::toJson(build.environment));
  std::size_t command = 0;
  for (const auto& step : build.steps) {
    text += framed(step.treeDigest);
    for (std::uint32_t i = 0; i < step.commands; ++i) text += framed(build.manifest.buildCommands.at(command++));
    keys.push_back(sha256(text));
    text = keys.back();
  }
  return keys;
}

std::vector<std::string> BuildLayers::find(const model::Build& build) const {
  const auto lock = store_.lock();
  std::vector<std::string> digests;
  for (const auto& inputs : inputsOf(build)) {
    auto query = store_.database().prepare("SELECT digest FROM build_layers WHERE app_id = ?1 AND inputs = ?2");
    query.bind(build.appId, inputs);
    if (!query.step()) break;
    digests.push_back(query.text(0));
  }
  return digests;
}

std::vector<BuildLayers::Layer> BuildLayers::of(const std::string& appId) const {
  const auto lock = store_.lock();
  auto query =
      store_.database().prepare("SELECT inputs, digest FROM build_layers WHERE app_id = ?1 ORDER BY used_at DESC");
  query.bind(appId);
  std::vector<Layer> layers;
  while (query.step()) layers.push_back({query.text(0), query.text(1)});
  return layers;
}

void BuildLayers::put(const std::string& appId, const Layer& layer) {
  store_.transact([&] {
    store_.database().run(
        "INSERT INTO build_layers (app_id, inputs, digest, used_at) VALUES (?1, ?2, ?3, ?4)"
        " ON CONFLICT (app_id, inputs) DO UPDATE SET digest = excluded.digest,"
        " used_at = excluded.used_at",
        appId, layer.inputs, layer.digest, now());
  });
}

void BuildLayers::erase(const std::string& appId, const std::string& inputs) {
  store_.transact(
      [&] { store_.database().run("DELETE FROM build_layers WHERE app_id = ?1 AND inputs = ?2", appId, inputs); });
}

}  // namespace cloister::store
