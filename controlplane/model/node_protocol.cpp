#include "controlplane/model/node_protocol.h"

#include <array>
#include <type_traits>

#include "controlplane/model/json_fields.h"

namespace cloister::model {
namespace {

using json::Fields;
using Object = Poco::JSON::Object::Ptr;

std::optional<SessionKind> sessionKind(const std::string& text) {
  if (text == "exec") return SessionKind::exec;
  if (text == "run") return SessionKind::run;
  if (text == "logs") return SessionKind::logs;
  return std::nullopt;
}

const char* name(SessionKind kind) {
  constexpr std::array kNames = {"exec", "run", "logs"};
  return kNames.at(static_cast<std::size_t>(kind));
}

const char* name(OtherCalls others) {
  constexpr std::array kNames = {"open", "report", "refuse"};
  return kNames.at(static_cast<std::size_t>(others));
}

std::optional<OtherCalls> otherCalls(const std::string& text) {
  for (const auto value : {OtherCalls::open, OtherCalls::report, OtherCalls::refuse}) {
    if (text == name(value)) return value;
  }
  return std::nullopt;
}

void encode(Object owner, const CallList& list) {
  owner->set("otherCalls", std::string(name(list.others)));
  owner->set("calls", json::array(list.calls));
}

void decode(const Fields& owner, CallList& list) {
  owner.read("otherCalls", list.others, otherCalls);
  owner.read("calls", list.calls);
}

// Each field of PlanLimits or InstanceLimits with its name, for writing and reading alike.
template <typename Limits, typename Visit>
void forEachLimit(Limits& limits, Visit visit) {
  visit("memoryBytes", limits.memoryBytes);
  visit("cpuMillis", limits.cpuMillis);
  visit("pids", limits.pids);
  visit("diskBytes", limits.diskBytes);
  visit("inodes", limits.inodes);
  if constexpr (std::is_same_v<std::remove_const_t<Limits>, PlanLimits>) {
    visit("networkBitsPerSecond", limits.networkBitsPerSecond);
    visit("instances", limits.instances);
    visit("apps", limits.apps);
    visit("buildMemoryBytes", limits.buildMemoryBytes);
    visit("buildDiskBytes", limits.buildDiskBytes);
    visit("buildSeconds", limits.buildSeconds);
    visit("memoryHighBytes", limits.memoryHighBytes);
    visit("cpuBurstMillis", limits.cpuBurstMillis);
    visit("diskBytesPerSecond", limits.diskBytesPerSecond);
    visit("diskOperationsPerSecond", limits.diskOperationsPerSecond);
    visit("releases", limits.releases);
    visit("imageDiskBytes", limits.imageDiskBytes);
  }
}

template <typename Limits>
Object encodeLimits(const Limits& limits) {
  auto out = json::object();
  forEachLimit(limits, [&](const char* field, std::uint64_t value) { out->set(field, value); });
  return out;
}

template <typename Limits>
void decodeLimits(const Fields& owner, Limits& limits) {
  const auto in = owner.child("limits");
  if (!in) return;
  forEachLimit(limits, [&](const char* field, std::uint64_t& value) { in->read(field, value); });
}

Object encode(const DesiredTenant& tenant) {
  auto out = json::object();
  out->set("id", tenant.id);
  out->set("name", tenant.name);
  out->set("index", tenant.index);
  out->set("state", std::string(name(tenant.state)));
  out->set("plan", tenant.plan);
  out->set("limits", encodeLimits(tenant.limits));
  return out;
}

DesiredTenant decodeTenant(const Fields& in) {
  DesiredTenant tenant;
  in.required("id", tenant.id);
  in.read("name", tenant.name);
  in.read("index", tenant.index);
  in.read("state", tenant.state, tenantState);
  in.read("plan", tenant.plan);
  decodeLimits(in, tenant.limits);
  return tenant;
}

Object encode(const DesiredInstance& instance) {
  auto out = json::object();
  out->set("id", instance.id);
  out->set("tenantId", instance.tenantId);
  out->set("appId", instance.appId);
  out->set("app", instance.app);
  out->set("process", instance.process);
  out->set("release", instance.release);
  out->set("command", instance.command);
  out->set("environment", json::objectOf(instance.environment));
  out->set("layers", json::array(instance.layers));
  out->set("limits", encodeLimits(instance.limits));
  out->set("address", instance.address);
  out->set("port", instance.port);
  out->set("healthPath", instance.healthPath);
  out->set("healthHost", instance.healthHost);
  encode(out, instance.callList);
  out->set("immutable", instance.immutable);
  out->set("writable", json::array(instance.writable));
  out->set("desired", std::string(name(instance.desired)));
  out->set("draining", instance.draining);
  return out;
}

DesiredInstance decodeInstance(const Fields& in) {
  DesiredInstance instance;
  in.required("id", instance.id);
  in.required("tenantId", instance.tenantId);
  in.read("appId", instance.appId);
  in.read("app", instance.app);
  in.read("process", instance.process);
  in.read("release", instance.release);
  in.read("command", instance.command);
  in.read("environment", instance.environment);
  in.read("layers", instance.layers);
  decodeLimits(in, instance.limits);
  in.read("address", instance.address);
  in.read("port", instance.port);
  in.read("healthPath", instance.healthPath);
  in.read("healthHost", instance.healthHost);
  decode(in, instance.callList);
  in.read("immutable", instance.immutable);
  in.read("writable", instance.writable);
  in.read("desired", instance.desired, desiredState);
  in.read("draining", instance.draining);
  return instance;
}

Object encode(const DesiredBuild& build) {
  auto out = json::object();
  out->set("id", build.id);
  out->set("tenantId", build.tenantId);
  out->set("appId", build.appId);
  out->set("sourceDigest", build.sourceDigest);
  out->set("baseDigest", build.baseDigest);
  out->set("commands", json::array(build.commands));
  out->set("doneCommands", build.doneCommands);
  out->set("layers", json::array(build.layers));
  out->set("steps", json::array(build.steps, [](const DesiredStep& step) {
             auto item = json::object();
             item->set("index", step.index);
             item->set("commands", step.commands);
             item->set("sourceDigest", step.sourceDigest);
             return item;
           }));
  out->set("environment", json::objectOf(build.environment));
  out->set("limits", encodeLimits(build.limits));
  out->set("timeoutSeconds", build.timeoutSeconds);
  out->set("address", build.address);
  encode(out, build.callList);
  return out;
}

DesiredBuild decodeBuild(const Fields& in) {
  DesiredBuild build;
  in.required("id", build.id);
  in.required("tenantId", build.tenantId);
  in.read("appId", build.appId);
  in.required("sourceDigest", build.sourceDigest);
  in.required("baseDigest", build.baseDigest);
  in.read("commands", build.commands);
  in.read("doneCommands", build.doneCommands);
  in.read("layers", build.layers);
  in.readList("steps", build.steps, [](const Fields& item) {
    DesiredStep step;
    item.read("index", step.index);
    item.read("commands", step.commands);
    item.read("sourceDigest", step.sourceDigest);
    return step;
  });
  in.read("environment", build.environment);
  decodeLimits(in, build.limits);
  in.read("timeoutSeconds", build.timeoutSeconds);
  in.read("address", build.address);
  decode(in, build.callList);
  return build;
}

Object encode(const Session& session) {
  auto out = json::object();
  out->set("id", session.id);
  out->set("kind", std::string(name(session.kind)));
  out->set("tenantId", session.tenantId);
  out->set("instanceId", session.instanceId);
  out->set("terminal", session.terminal);
  out->set("rows", session.rows);
  out->set("columns", session.columns);
  out->set("appId", session.appId);
  out->set("process", session.process);
  out->set("follow", session.follow);
  out->set("since", session.since);
  out->set("lines", session.lines);
  if (session.kind == SessionKind::run) out->set("runInstance", encode(session.runInstance));
  return out;
}

Session decodeSession(const Fields& in) {
  Session session;
  in.required("id", session.id);
  in.read("kind", session.kind, sessionKind);
  in.required("tenantId", session.tenantId);
  in.read("instanceId", session.instanceId);
  in.read("terminal", session.terminal);
  in.read("rows", session.rows);
  in.read("columns", session.columns);
  in.read("appId", session.appId);
  in.read("process", session.process);
  in.read("follow", session.follow);
  in.read("since", session.since);
  in.read("lines", session.lines);
  if (session.kind == SessionKind::run) {
    const auto run = in.child("runInstance");
    if (!run) in.fail("runInstance", "is required");
    session.runInstance = decodeInstance(*run);
  }
  return session;
}

template <typename T>
Poco::JSON::Array::Ptr encodeAll(const std::vector<T>& list) {
  return json::array(list, [](const T& item) { return encode(item); });
}

}  // namespace

std::string toJson(const NodeWork& work) {
  auto out = json::object();
  out->set("revision", work.revision);
  out->set("certified", work.certified);
  out->set("nodeId", work.nodeId);
  out->set("tenants", encodeAll(work.tenants));
  out->set("instances", encodeAll(work.instances));
  out->set("builds", encodeAll(work.builds));
  out->set("sessions", encodeAll(work.sessions));
  out->set("keepBlobs", json::array(work.keepBlobs));
  return json::text(out);
}

NodeWork nodeWorkFromJson(const std::string& text) {
  const auto in = Fields::parse(text);
  NodeWork work;
  in.read("revision", work.revision);
  in.read("certified", work.certified);
  in.required("nodeId", work.nodeId);
  in.readEach("tenants", work.tenants, work.refused, decodeTenant);
  in.readEach("instances", work.instances, work.refused, decodeInstance);
  in.readEach("builds", work.builds, work.refused, decodeBuild);
  in.readEach("sessions", work.sessions, work.refused, decodeSession);
  in.read("keepBlobs", work.keepBlobs);
  return work;
}

}  // namespace cloister::model
