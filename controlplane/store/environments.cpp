#include "controlplane/store/environments.h"

#include "controlplane/model/json.h"
#include "controlplane/store/store.h"

namespace cloister::store {

Environment Environments::get(const std::string& appId, std::int64_t version) const {
  const auto lock = store_.lock();
  auto config =
      store_.database().prepare(version == 0 ? "SELECT config FROM apps WHERE id = ?1 AND ?2 = 0"
                                             : "SELECT config FROM releases WHERE app_id = ?1 AND version = ?2");
  config.bind(appId, version);
  if (!config.step()) throw NotFound(version == 0 ? "app" : "release", version == 0 ? appId : std::to_string(version));
  Environment environment;
  environment.config = model::textMapFromJson(config.text(0));
  auto secrets = store_.database().prepare(
      version == 0 ? "SELECT name, sealed, updated_at FROM secrets WHERE app_id = ?1 AND ?2 = 0"
                   : "SELECT name, sealed, updated_at FROM release_secrets WHERE app_id = ?1 AND version = ?2");
  secrets.bind(appId, version);
  while (secrets.step()) environment.secrets[secrets.text(0)] = {secrets.text(1), secrets.integer(2)};
  return environment;
}

std::map<std::string, std::string> Environments::values(const std::string& appId, std::int64_t version) const {
  auto environment = get(appId, version);
  for (const auto& [name, secret] : environment.secrets) environment.config[name] = opened(secret);
  return std::move(environment.config);
}

void Environments::setInitial(const std::string& appId, const Environment& environment) {
  store_.transact([&] {
    store_.database().run("UPDATE apps SET config = ?2, revision = revision + 1 WHERE id = ?1", appId,
                          model::toJson(environment.config));
    store_.database().run("DELETE FROM secrets WHERE app_id = ?1", appId);
    for (const auto& [name, secret] : environment.secrets) {
      store_.database().run("INSERT INTO secrets (app_id, name, sealed, updated_at) VALUES (?1, ?2, ?3, ?4)", appId,
                            name, secret.sealed, secret.updatedAt);
    }
  });
}

Secret Environments::seal(const std::string& value) const {
  return {store_.seal(value), now()};
}

std::string Environments::opened(const Secret& secret) const {
  return store_.unseal(secret.sealed);
}

}  // namespace cloister::store
