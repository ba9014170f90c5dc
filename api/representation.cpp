#include "api/representation.h"

#include <Poco/Base64Decoder.h>
#include <Poco/Base64Encoder.h>

#include <algorithm>
#include <sstream>

#include "api/problem.h"
#include "metering/base/seal.h"
#include "sandbox/base/identity.h"
#include "sandbox/base/utf8.h"

namespace cloister::api {
namespace {

constexpr std::int64_t kDefaultPage = 100;
constexpr std::int64_t kLargestPage = 500;

void setIf(Json object, const char* name, const std::string& value) {
  if (!value.empty()) object->set(name, value);
}

}  // namespace

Json newObject() {
  return new Poco::JSON::Object(Poco::JSON_PRESERVE_KEY_ORDER);
}

std::string text(const Json& object) {
  std::ostringstream out;
  object->stringify(out);
  return utf8::jsonText(out.str());
}

Json represent(const model::PlanLimits& limits) {
  auto out = newObject();
  out->set("memory_bytes", limits.memoryBytes);
  out->set("cpu_millis", limits.cpuMillis);
  out->set("pids", limits.pids);
  out->set("disk_bytes", limits.diskBytes);
  out->set("inodes", limits.inodes);
  out->set("network_bits_per_second", limits.networkBitsPerSecond);
  out->set("instances", limits.instances);
  out->set("apps", limits.apps);
  out->set("build_memory_bytes", limits.buildMemoryBytes);
  out->set("build_disk_bytes", limits.buildDiskBytes);
  out->set("build_seconds", limits.buildSeconds);
  out->set("memory_high_bytes", limits.memoryHighBytes);
  out->set("cpu_burst_millis", limits.cpuBurstMillis);
  out->set("disk_bytes_per_second", limits.diskBytesPerSecond);
  out->set("disk_operations_per_second", limits.diskOperationsPerSecond);
  out->set("releases", limits.releases);
  out->set("image_disk_bytes", limits.imageDiskBytes);
  out->set("surge_percent", limits.surgePercent);
  return out;
}

Json represent(const model::Plan& plan) {
  auto out = newObject();
  out->set("name", plan.name);
  out->set("limits", represent(plan.limits));
  out->set("revision", plan.revision);
  return out;
}

Json represent(const model::Tenant& tenant) {
  auto out = newObject();
  out->set("id", tenant.id);
  out->set("name", tenant.name);
  out->set("plan", tenant.plan);
  out->set("state", std::string(model::name(tenant.state)));
  out->set("created_at", formatTime(tenant.createdAt));
  out->set("revision", tenant.revision);
  return out;
}

Json represent(const model::Token& token, const std::string& tenantName) {
  auto out = newObject();
  out->set("id", token.id);
  out->set("name", token.name);
  out->set("scope", std::string(model::name(token.scope)));
  setIf(out, "tenant", tenantName);
  out->set("created_at", formatTime(token.createdAt));
  setIf(out, "last_used_at", formatTime(token.lastUsedAt));
  out->set("revoked", token.revoked);
  return out;
}

Json represent(const model::NodeKey& key) {
  auto out = newObject();
  out->set("node", key.node);
  out->set("key_id", metering::keyIdOf(key.publicKey));
  out->set("public_key", key.publicKey);
  out->set("since", formatTime(key.since));
  return out;
}

Json represent(const model::Node& node, std::int64_t instances, const std::vector<model::NodeKey>& keys) {
  auto out = newObject();
  out->set("id", node.id);
  out->set("name", node.name);
  out->set("state", std::string(model::name(node.state)));
  out->set("boot_id", node.bootId);
  out->set("instances", instances);
  setIf(out, "last_seen", formatTime(node.lastSeen));
  Poco::JSON::Array::Ptr list = new Poco::JSON::Array;
  for (const auto& key : keys) {
    if (key.node == node.name) list->add(represent(key));
  }
  out->set("signing_keys", list);
  return out;
}

Json represent(const model::PostureCheck& check, const std::string& node) {
  auto out = newObject();
  out->set("name", check.name);
  out->set("state", check.state);
  out->set("reason", check.reason);
  out->set("node", node);
  return out;
}

Json represent(const model::Failure& failure) {
  auto out = newObject();
  out->set("code", failure.code);
  out->set("detail", failure.detail);
  setIf(out, "instance", failure.instance);
  return out;
}

Json represent(const model::Operation& operation) {
  auto out = newObject();
  out->set("id", operation.id);
  out->set("kind", operation.kind);
  out->set("subject", operation.subject);
  out->set("state", std::string(model::name(operation.state)));
  setIf(out, "progress", operation.progress);
  setIf(out, "notice", operation.notice);
  if (operation.failure.failed()) out->set("failure", represent(operation.failure));
  setIf(out, "result", operation.result);
  out->set("created_at", formatTime(operation.createdAt));
  out->set("updated_at", formatTime(operation.updatedAt));
  return out;
}

Json represent(const model::Build& build, const std::string& app) {
  auto out = newObject();
  out->set("id", build.id);
  out->set("app", app);
  out->set("state", std::string(model::name(build.state)));
  out->set("operation", build.operationId);
  out->set("source_digest", build.sourceDigest);
  out->set("base_digest", build.baseDigest);
  setIf(out, "tree_digest", build.treeDigest);
  setIf(out, "slug_digest", build.slugDigest);
  setIf(out, "reused", build.reused);
  if (build.failure.failed()) out->set("failure", represent(build.failure));
  out->set("created_at", formatTime(build.createdAt));
  setIf(out, "finished_at", formatTime(build.finishedAt));
  return out;
}

Json represent(const model::Release& release, const model::App& app, std::uint64_t imageBytes) {
  auto out = newObject();
  out->set("version", release.version);
  out->set("app", app.name);
  setIf(out, "build", release.buildId);
  out->set("slug_digest", release.slugDigest);
  out->set("base_digest", release.baseDigest);
  out->set("processes", represent(release.manifest.processes));
  out->set("description", release.description);
  out->set("created_by", release.createdBy);
  out->set("created_at", formatTime(release.createdAt));
  out->set("current", release.version == app.currentRelease);
  out->set("image_kept", release.imageKept);
  if (release.imageKept) out->set("image_bytes", imageBytes);
  out->set("state", std::string(model::name(release.state)));
  return out;
}

Json represent(const model::Instance& instance, const std::string& app, const std::string& node) {
  auto out = newObject();
  out->set("id", instance.id);
  out->set("app", app);
  out->set("process", instance.process);
  out->set("release", instance.release);
  out->set("state", std::string(model::name(instance.state)));
  out->set("desired", std::string(model::name(instance.desired)));
  setIf(out, "address", instance.address == 0 ? "" : formatIpv4(instance.address));
  out->set("port", instance.port);
  out->set("node", node);
  out->set("restarts", instance.restarts);
  setIf(out, "reason", instance.reason);
  setIf(out, "next_start_at", formatTime(instance.nextStartAt));
  out->set("created_at", formatTime(instance.createdAt));
  setIf(out, "changed_at", formatTime(instance.changedAt));
  return out;
}

Json represent(const model::LogLine& line) {
  auto out = newObject();
  out->set("at", formatTime(line.at));
  out->set("app", line.app);
  out->set("process", line.process);
  out->set("instance", line.instance);
  out->set("stream", line.stream);
  out->set("line", line.line);
  return out;
}

Json represent(const model::AuditEntry& entry, const std::string& tenantName) {
  auto out = newObject();
  out->set("id", entry.id);
  out->set("at", formatTime(entry.at));
  out->set("actor", entry.actor);
  setIf(out, "tenant", tenantName);
  out->set("action", entry.action);
  setIf(out, "subject", entry.subject);
  out->set("status", entry.status);
  return out;
}

Json represent(const model::Event& event, const std::string& tenantName) {
  auto out = newObject();
  out->set("id", event.id);
  out->set("at", formatTime(event.at));
  setIf(out, "tenant", tenantName);
  setIf(out, "app", event.app);
  out->set("kind", event.kind);
  out->set("text", event.text);
  return out;
}

std::string appStatus(const model::App& app, const model::Tenant& tenant, std::int64_t wanted,
                      const std::vector<model::Instance>& instances) {
  if (tenant.state != model::TenantState::active) return "suspended";
  if (app.currentRelease == 0) return "empty";
  if (wanted == 0) return "stopped";
  std::int64_t ready = 0;
  bool crashed = false;
  for (const auto& instance : instances) {
    if (instance.desired != model::DesiredState::run) continue;
    if (instance.state == model::InstanceState::running) ++ready;
    crashed = crashed || instance.state == model::InstanceState::crashed;
  }
  if (ready >= wanted) return "running";
  if (ready > 0) return "degraded";
  return crashed ? "crashed" : "starting";
}

Answer answerWith(const Json& object, int status) {
  Answer answer;
  answer.status = status;
  answer.body = text(object);
  return answer;
}

Answer answerList(const std::vector<Json>& items, const std::string& next) {
  auto out = newObject();
  Poco::JSON::Array::Ptr list = new Poco::JSON::Array;
  for (const auto& item : items) list->add(item);
  out->set("items", list);
  setIf(out, "next", next);
  return answerWith(out);
}

store::Page pageOf(const Request& request) {
  const auto limit = request.integer("limit", 1, kLargestPage).value_or(kDefaultPage);
  store::Page page{"", static_cast<std::size_t>(limit) + 1};
  const auto cursor = request.query("cursor");
  if (!cursor) return page;
  std::istringstream in(*cursor);
  Poco::Base64Decoder decoder(in, Poco::BASE64_URL_ENCODING | Poco::BASE64_NO_PADDING);
  std::ostringstream key;
  try {
    key << decoder.rdbuf();
  } catch (const Poco::Exception&) {
    throw invalidField("cursor", "is not one that this API gave");
  }
  page.after = key.str();
  // The version mark catches cursors that were made up or cut.
  if (!page.after.starts_with("c1:") || page.after.size() > 200) {
    throw invalidField("cursor", "is not one that this API gave");
  }
  page.after.erase(0, 3);
  return page;
}

std::string cursorOf(const std::string& key) {
  std::ostringstream out;
  Poco::Base64Encoder encoder(out, Poco::BASE64_URL_ENCODING | Poco::BASE64_NO_PADDING);
  encoder.rdbuf()->setLineLength(0);
  encoder << "c1:" << key;
  encoder.close();
  return out.str();
}

}  // namespace cloister::api
