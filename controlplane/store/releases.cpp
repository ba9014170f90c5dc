#include "controlplane/store/releases.h"

#include <charconv>
#include <iterator>
#include <limits>
#include <set>
#include <sstream>

#include "controlplane/model/json.h"
#include "controlplane/store/store.h"

namespace cloister::store {
namespace {

constexpr std::int64_t kMostAlike = 20;

std::vector<std::string> wordsOf(const std::string& text) {
  std::istringstream in(text);
  return {std::istream_iterator<std::string>(in), {}};
}

std::string textOf(const std::vector<std::string>& words) {
  std::string text;
  for (const auto& word : words) text += (text.empty() ? "" : " ") + word;
  return text;
}

// In the order of readBuild().
constexpr const char* kBuildColumns =
    "SELECT id, tenant_id, app_id, operation_id, source_digest, base_digest, slug_digest, manifest, state,"
    " failure_code, failure_detail, node_id, address, created_at, finished_at, tree_digest, environment, no_reuse,"
    " reused, steps, layers FROM builds";

model::Build readBuild(const Statement& row) {
  model::Build build;
  row.get(0, build.id);
  row.get(1, build.tenantId);
  row.get(2, build.appId);
  row.get(3, build.operationId);
  row.get(4, build.sourceDigest);
  row.get(5, build.baseDigest);
  row.get(6, build.slugDigest);
  build.manifest = model::manifestFromJson(row.text(7));
  build.state = model::buildState(row.text(8)).value_or(model::BuildState::failed);
  row.get(9, build.failure.code);
  row.get(10, build.failure.detail);
  row.get(11, build.nodeId);
  row.get(12, build.address);
  row.get(13, build.createdAt);
  row.get(14, build.finishedAt);
  row.get(15, build.treeDigest);
  build.environment = model::textMapFromJson(row.text(16));
  build.reuse = row.integer(17) == 0 ? model::Reuse::unchanged : model::Reuse::nothing;
  row.get(18, build.reused);
  build.steps = model::buildStepsFromJson(row.text(19));
  build.layers = wordsOf(row.text(20));
  return build;
}

model::Release readRelease(const Statement& row) {
  model::Release release;
  row.get(0, release.appId);
  row.get(1, release.version);
  row.get(2, release.buildId);
  row.get(3, release.baseDigest);
  row.get(4, release.slugDigest);
  release.manifest = model::manifestFromJson(row.text(5));
  release.config = model::textMapFromJson(row.text(6));
  row.get(7, release.description);
  row.get(8, release.createdBy);
  row.get(9, release.createdAt);
  release.imageKept = row.integer(10) == 0;
  release.layers = wordsOf(row.text(11));
  release.state = model::releaseState(row.text(12)).value_or(model::ReleaseState::released);
  return release;
}

std::string framed(const std::string& text) {
  return "\n" + std::to_string(text.size()) + ":" + text;
}

// One digest for all that a build is made of; empty when that is not known.
std::string inputsOf(const model::Build& build) {
  if (build.treeDigest.empty()) return {};
  std::string text = "build 1\n" + build.baseDigest + "\n" + build.treeDigest + "\n" + model::toJson(build.environment);
  for (const auto& command : build.manifest.buildCommands) text += framed(command);
  for (const auto& step : build.steps) text += framed(std::to_string(step.commands) + " " + step.treeDigest);
  return sha256(text);
}

// Decimal text; what is none comes before the first version.
std::int64_t versionBefore(const std::string& after) {
  if (after.empty()) return std::numeric_limits<std::int64_t>::max();
  std::int64_t version = 0;
  std::from_chars(after.data(), after.data() + after.size(), version);
  return version;
}

}  // namespace

model::Build Builds::create(model::Build build, const std::string& createdBy) {
  return store_.transact([&] {
    build.id = newId("bd");
    build.state = model::BuildState::queued;
    build.createdAt = now();
    store_.database().run(
        "INSERT INTO builds (id, tenant_id, app_id, operation_id, created_by, source_digest, base_digest, manifest,"
        " state, created_at, tree_digest, environment, inputs, no_reuse, steps)"
        " VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15)",
        build.id, build.tenantId, build.appId, build.operationId, createdBy, build.sourceDigest, build.baseDigest,
        model::toJson(build.manifest), std::string_view(model::name(build.state)), build.createdAt, build.treeDigest,
        model::toJson(build.environment), inputsOf(build), build.reuse == model::Reuse::nothing ? 1 : 0,
        model::toJson(build.steps));
    return build;
  });
}

std::string Builds::createdBy(const std::string& id) const {
  const auto lock = store_.lock();
  auto query = store_.database().prepare("SELECT created_by FROM builds WHERE id = ?1");
  query.bind(id);
  return query.step() ? query.text(0) : std::string();
}

std::optional<model::Build> Builds::find(const std::string& id) const {
  const auto lock = store_.lock();
  auto query = store_.database().prepare(std::string(kBuildColumns) + " WHERE id = ?1");
  query.bind(id);
  if (!query.step()) return std::nullopt;
  return readBuild(query);
}

model::Build Builds::get(const std::string& id) const {
  auto build = find(id);
  if (!build) throw NotFound("build", id);
  return *build;
}

std::vector<model::Build> Builds::list(const std::string& appId, const Page& page) const {
  const auto lock = store_.lock();
  auto query = store_.database().prepare(std::string(kBuildColumns) +
                                         " WHERE app_id = ?1 AND (?2 = '' OR id < ?2) ORDER BY id DESC LIMIT ?3");
  query.bind(appId, page.after, page.limit);
  std::vector<model::Build> builds;
  while (query.step()) builds.push_back(readBuild(query));
  return builds;
}

std::vector<model::Build> Builds::unfinished() const {
  const auto lock = store_.lock();
  auto query =
      store_.database().prepare(std::string(kBuildColumns) + " WHERE state IN ('queued', 'running') ORDER BY id");
  std::vector<model::Build> builds;
  while (query.step()) builds.push_back(readBuild(query));
  return builds;
}

std::vector<model::Build> Builds::alike(const model::Build& build) const {
  const auto inputs = inputsOf(build);
  if (inputs.empty()) return {};
  const auto lock = store_.lock();
  auto query = store_.database().prepare(
      std::string(kBuildColumns) +
      " WHERE app_id = ?1 AND inputs = ?2 AND state = 'succeeded' AND slug_digest IN (SELECT slug_digest FROM releases"
      " WHERE app_id = ?1 AND image_dropped = 0) ORDER BY id DESC LIMIT ?3");
  query.bind(build.appId, inputs, kMostAlike);
  std::vector<model::Build> builds;
  while (query.step()) builds.push_back(readBuild(query));
  return builds;
}

void Builds::update(const model::Build& build) {
  store_.transact([&] {
    store_.database().run(
        "UPDATE builds SET slug_digest = ?2, state = ?3, failure_code = ?4, failure_detail = ?5, node_id = ?6,"
        " address = ?7, finished_at = ?8, reused = ?9, layers = ?10 WHERE id = ?1",
        build.id, build.slugDigest, std::string_view(model::name(build.state)), build.failure.code,
        build.failure.detail, build.nodeId, build.address, build.finishedAt, build.reused, textOf(build.layers));
  });
}

void Builds::forget(const std::string& appId, std::int64_t most) {
  store_.transact([&] {
    store_.database().run(
        "DELETE FROM builds WHERE app_id = ?1 AND state NOT IN ('queued', 'running')"
        " AND id NOT IN (SELECT id FROM builds WHERE app_id = ?1 ORDER BY id DESC LIMIT ?2)"
        " AND id NOT IN (SELECT build_id FROM releases WHERE app_id = ?1 AND image_dropped = 0)",
        appId, most);
  });
}

std::vector<ReleaseImage> Releases::images(const std::string& tenantId) const {
  const auto lock = store_.lock();
  auto query = store_.database().prepare(
      "SELECT r.app_id, r.version, r.slug_digest, r.layers FROM releases r JOIN apps a ON a.id = r.app_id"
      " WHERE a.tenant_id = ?1 AND r.image_dropped = 0 ORDER BY r.created_at DESC, r.version DESC");
  query.bind(tenantId);
  std::vector<ReleaseImage> images;
  while (query.step()) {
    auto& image = images.emplace_back();
    query.get(0, image.appId);
    query.get(1, image.version);
    image.digests = wordsOf(query.text(3));
    image.digests.insert(image.digests.begin(), query.text(2));
  }
  return images;
}

void Releases::dropImage(const std::string& appId, std::int64_t version) {
  store_.transact([&] {
    store_.database().run("UPDATE releases SET image_dropped = 1 WHERE app_id = ?1 AND version = ?2", appId, version);
    // It cannot be released again: nothing needs its secrets.
    store_.database().run("DELETE FROM release_secrets WHERE app_id = ?1 AND version = ?2", appId, version);
  });
}

void Releases::forget(const std::string& appId, std::int64_t most) {
  store_.transact([&] {
    store_.database().run(
        "DELETE FROM releases WHERE app_id = ?1 AND image_dropped = 1"
        " AND version <= (SELECT MAX(version) FROM releases WHERE app_id = ?1) - ?2",
        appId, most);
  });
}

model::Release Releases::create(model::Release release, const std::map<std::string, Secret>& secrets) {
  return store_.transact([&] {
    auto next = store_.database().prepare("SELECT COALESCE(MAX(version), 0) + 1 FROM releases WHERE app_id = ?1");
    next.bind(release.appId);
    release.version = next.step() ? next.integer(0) : 1;
    release.createdAt = now();
    release.state = model::ReleaseState::rollingOut;
    store_.database().run(
        "INSERT INTO releases (app_id, version, build_id, base_digest, slug_digest, manifest, config, description,"
        " created_by, created_at, layers, state) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12)",
        release.appId, release.version, release.buildId, release.baseDigest, release.slugDigest,
        model::toJson(release.manifest), model::toJson(release.config), release.description, release.createdBy,
        release.createdAt, textOf(release.layers), std::string_view(model::name(release.state)));
    for (const auto& [name, secret] : secrets) {
      store_.database().run(
          "INSERT INTO release_secrets (app_id, version, name, sealed, updated_at) VALUES (?1, ?2, ?3, ?4, ?5)",
          release.appId, release.version, name, secret.sealed, secret.updatedAt);
    }
    return release;
  });
}

void Releases::setState(const std::string& appId, std::int64_t version, model::ReleaseState state) {
  store_.transact([&] {
    store_.database().run("UPDATE releases SET state = ?3 WHERE app_id = ?1 AND version = ?2", appId, version,
                          std::string_view(model::name(state)));
  });
}

model::ReleaseState Releases::state(const std::string& appId, std::int64_t version) const {
  const auto lock = store_.lock();
  auto query = store_.database().prepare("SELECT state FROM releases WHERE app_id = ?1 AND version = ?2");
  query.bind(appId, version);
  if (!query.step()) return model::ReleaseState::refused;
  return model::releaseState(query.text(0)).value_or(model::ReleaseState::released);
}

std::optional<model::Release> Releases::find(const std::string& appId, std::int64_t version) const {
  const auto lock = store_.lock();
  auto query = store_.database().prepare(
      "SELECT app_id, version, build_id, base_digest, slug_digest, manifest, config, description, created_by,"
      " created_at, image_dropped, layers, state FROM releases WHERE app_id = ?1 AND version = ?2");
  query.bind(appId, version);
  if (!query.step()) return std::nullopt;
  return readRelease(query);
}

model::Release Releases::get(const std::string& appId, std::int64_t version) const {
  auto release = find(appId, version);
  if (!release) throw NotFound("release", "v" + std::to_string(version));
  return *release;
}

std::vector<model::Release> Releases::list(const std::string& appId, const Page& page) const {
  const auto lock = store_.lock();
  auto query = store_.database().prepare(
      "SELECT app_id, version, build_id, base_digest, slug_digest, manifest, config, description, created_by,"
      " created_at, image_dropped, layers, state FROM releases WHERE app_id = ?1 AND version < ?2 ORDER BY version "
      "DESC LIMIT "
      "?3");
  query.bind(appId, versionBefore(page.after), page.limit);
  std::vector<model::Release> releases;
  while (query.step()) releases.push_back(readRelease(query));
  return releases;
}

std::vector<std::string> Releases::digestsInUse() const {
  const auto lock = store_.lock();
  auto query = store_.database().prepare(
      "SELECT slug_digest || ' ' || base_digest || ' ' || layers FROM releases WHERE image_dropped = 0"
      " UNION SELECT source_digest || ' ' || base_digest FROM builds WHERE state IN ('queued', 'running')"
      " UNION SELECT digest FROM build_layers");
  std::set<std::string> digests;
  while (query.step()) {
    for (auto& digest : wordsOf(query.text(0))) digests.insert(std::move(digest));
  }
  for (const auto& build : store_.builds().unfinished()) {
    for (const auto& step : build.steps) digests.insert(step.sourceDigest);
  }
  digests.erase("");
  return {digests.begin(), digests.end()};
}

}  // namespace cloister::store
