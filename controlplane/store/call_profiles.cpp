#include "controlplane/store/call_profiles.h"

#include "controlplane/store/store.h"

namespace cloister::store {

model::CallProfile CallProfiles::get(const std::string& appId) const {
  const auto lock = store_.lock();
  auto query = store_.database().prepare("SELECT mode, learn_until, builds FROM call_profiles WHERE app_id = ?1");
  query.bind(appId);
  if (!query.step()) return {};
  model::CallProfile profile;
  profile.mode = model::callMode(query.text(0)).value_or(model::CallMode::enforce);
  profile.learnUntil = query.integer(1);
  profile.builds = query.integer(2) != 0;
  return profile;
}

void CallProfiles::set(const std::string& appId, const model::CallProfile& profile) {
  store_.transact([&] {
    store_.database().run(
        "INSERT INTO call_profiles (app_id, mode, learn_until, builds) VALUES (?1, ?2, ?3, ?4)"
        " ON CONFLICT (app_id) DO UPDATE SET mode = excluded.mode, learn_until = excluded.learn_until,"
        " builds = excluded.builds",
        appId, std::string(model::name(profile.mode)), profile.learnUntil, profile.builds ? 1 : 0);
  });
}

std::vector<model::SeenCall> CallProfiles::calls(const std::string& appId) const {
  const auto lock = store_.lock();
  auto query = store_.database().prepare(
      "SELECT number, by_app, by_build, by_name, flagged, first_at FROM seen_calls WHERE app_id = ?1 ORDER BY number");
  query.bind(appId);
  std::vector<model::SeenCall> calls;
  while (query.step()) {
    calls.push_back({static_cast<std::uint32_t>(query.integer(0)), query.integer(1) != 0, query.integer(2) != 0,
                     query.integer(3) != 0, query.integer(4) != 0, query.integer(5)});
  }
  return calls;
}

void CallProfiles::add(const std::string& appId, const model::SeenCall& call) {
  store_.transact([&] {
    store_.database().run(
        "INSERT INTO seen_calls (app_id, number, by_app, by_build, by_name, flagged, first_at)"
        " VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)"
        " ON CONFLICT (app_id, number) DO UPDATE SET"
        " by_app = CASE WHEN excluded.by_app = 1 THEN 1 ELSE seen_calls.by_app END,"
        " by_build = CASE WHEN excluded.by_build = 1 THEN 1 ELSE seen_calls.by_build END,"
        " by_name = CASE WHEN excluded.by_name = 1 THEN 1 ELSE seen_calls.by_name END,"
        " flagged = CASE WHEN excluded.by_app = 1 OR excluded.by_name = 1 THEN 0"
        " WHEN excluded.flagged = 1 THEN 1 ELSE seen_calls.flagged END",
        appId, static_cast<std::int64_t>(call.number), call.byApp ? 1 : 0, call.byBuild ? 1 : 0, call.byName ? 1 : 0,
        call.flagged ? 1 : 0, call.firstAt != 0 ? call.firstAt : now());
  });
}

void CallProfiles::forget(const std::string& appId, std::uint32_t number) {
  store_.transact([&] {
    store_.database().run("DELETE FROM seen_calls WHERE app_id = ?1 AND number = ?2", appId,
                          static_cast<std::int64_t>(number));
  });
}

void CallProfiles::forgetAll(const std::string& appId) {
  store_.transact([&] { store_.database().run("DELETE FROM seen_calls WHERE app_id = ?1", appId); });
}

}  // namespace cloister::store
