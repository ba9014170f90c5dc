#include "controlplane/model/node_protocol.h"

#include <array>

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

Object encode(const InstanceLimits& limits) {
  auto out = json::object();
  out->set("memoryBytes", limits.memoryBytes);
  out->set("cpuMillis", limits.cpuMillis);
  out->set("pids", limits.pids);
  out->set("diskBytes", limits.diskBytes);
  out->set("inodes", limits.inodes);
  return out;
}

void decode(const Fields& owner, InstanceLimits& limits) {
  const auto in = owner.child("limits");
  if (!in) return;
  in->read("memoryBytes", limits.memoryBytes);
  in->read("cpuMillis", limits.cpuMillis);
  in->read("pids", limits.pids);
  in->read("diskBytes", limits.diskBytes);
  in->read("inodes", limits.inodes);
}

Object encode(const PlanLimits& limits) {
  auto out = json::object();
  out->set("memoryBytes", limits.memoryBytes);
  out->set("cpuMillis", limits.cpuMillis);
  out->set("pids", limits.pids);
  out->set("diskBytes", limits.diskBytes);
  out->set("inodes", limits.inodes);
  out->set("networkBitsPerSecond", limits.networkBitsPerSecond);
  out->set("instances", limits.instances);
  out->set("apps", limits.apps);
  out->set("buildMemoryBytes", limits.buildMemoryBytes);
  out->set("buildDiskBytes", limits.buildDiskBytes);
  out->set("buildSeconds", limits.buildSeconds);
  out->set("memoryHighBytes", limits.memoryHighBytes);
  out->set("cpuBurstMillis", limits.cpuBurstMillis);
  out->set("diskBytesPerSecond", limits.diskBytesPerSecond);
  out->set("diskOperationsPerSecond", limits.diskOperationsPerSecond);
  return out;
}

void decode(const Fields& owner, PlanLimits& limits) {
  const auto in = owner.child("limits");
  if (!in) return;
  in->read("memoryBytes", limits.memoryBytes);
  in->read("cpuMillis", limits.cpuMillis);
  in->read("pids", limits.pids);
  in->read("diskBytes", limits.diskBytes);
  in->read("inodes", limits.inodes);
  in->read("networkBitsPerSecond", limits.networkBitsPerSecond);
  in->read("instances", limits.instances);
  in->read("apps", limits.apps);
  in->read("buildMemoryBytes", limits.buildMemoryBytes);
  in->read("buildDiskBytes", limits.buildDiskBytes);
  in->read("buildSeconds", limits.buildSeconds);
  in->read("memoryHighBytes", limits.memoryHighBytes);
  in->read("cpuBurstMillis", limits.cpuBurstMillis);
  in->read("diskBytesPerSecond", limits.diskBytesPerSecond);
  in->read("diskOperationsPerSecond", limits.diskOperationsPerSecond);
}

Object encode(const DesiredTenant& tenant) {
  auto out = json::object();
  out->set("id", tenant.id);
  out->set("name", tenant.name);
  out->set("index", tenant.index);
  out->set("state", std::string(name(tenant.state)));
  out->set("plan", tenant.plan);
  out->set("limits", encode(tenant.limits));
  return out;
}

DesiredTenant decodeTenant(const Fields& in) {
  DesiredTenant tenant;
  in.required("id", tenant.id);
  in.read("name", tenant.name);
  in.read("index", tenant.index);
  in.read("state", tenant.state, tenantState);
  in.read("plan", tenant.plan);
  decode(in, tenant.limits);
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
  out->set("limits", encode(instance.limits));
  out->set("address", instance.address);
  out->set("port", instance.port);
  out->set("healthPath", instance.healthPath);
  encode(out, instance.callList);
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
  decode(in, instance.limits);
  in.read("address", instance.address);
  in.read("port", instance.port);
  in.read("healthPath", instance.healthPath);
  decode(in, instance.callList);
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
  out->set("environment", json::objectOf(build.environment));
  out->set("limits", encode(build.limits));
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
  in.read("environment", build.environment);
  decode(in, build.limits);
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
  out->set("argv", json::array(session.argv));
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
  in.read("argv", session.argv);
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

Object encode(const Failure& failure) {
  auto out = json::object();
  out->set("code", failure.code);
  out->set("detail", failure.detail);
  return out;
}

Object encode(const InstanceReport& report) {
  auto out = json::object();
  out->set("id", report.id);
  out->set("state", std::string(name(report.state)));
  out->set("restarts", report.restarts);
  out->set("reason", report.reason);
  out->set("changedAt", report.changedAt);
  if (!report.calls.empty()) out->set("calls", json::array(report.calls));
  return out;
}

InstanceReport decodeInstanceReport(const Fields& in) {
  InstanceReport report;
  in.required("id", report.id);
  in.read("state", report.state, instanceState);
  in.read("restarts", report.restarts);
  in.read("reason", report.reason);
  in.read("changedAt", report.changedAt);
  in.read("calls", report.calls);
  return report;
}

Object encode(const BuildReport& report) {
  auto out = json::object();
  out->set("id", report.id);
  out->set("state", std::string(name(report.state)));
  out->set("slugDigest", report.slugDigest);
  out->set("failure", encode(report.failure));
  if (!report.calls.empty()) out->set("calls", json::array(report.calls));
  return out;
}

BuildReport decodeBuildReport(const Fields& in) {
  BuildReport report;
  in.required("id", report.id);
  in.read("state", report.state, buildState);
  in.read("slugDigest", report.slugDigest);
  if (const auto failure = in.child("failure")) {
    failure->read("code", report.failure.code);
    failure->read("detail", report.failure.detail);
  }
  in.read("calls", report.calls);
  return report;
}

Object encode(const EventReport& event) {
  auto out = json::object();
  out->set("tenantId", event.tenantId);
  out->set("app", event.app);
  out->set("kind", event.kind);
  out->set("text", event.text);
  return out;
}

EventReport decodeEvent(const Fields& in) {
  EventReport event;
  in.read("tenantId", event.tenantId);
  in.read("app", event.app);
  in.required("kind", event.kind);
  in.read("text", event.text);
  return event;
}

Object encode(const PostureCheck& check) {
  auto out = json::object();
  out->set("name", check.name);
  out->set("state", check.state);
  out->set("reason", check.reason);
  return out;
}

PostureCheck decodePosture(const Fields& in) {
  PostureCheck check;
  in.required("name", check.name);
  in.read("state", check.state);
  in.read("reason", check.reason);
  return check;
}

Object encode(const PressureReport& pressure) {
  auto out = json::object();
  out->set("tenantId", pressure.tenantId);
  out->set("resource", pressure.resource);
  out->set("kind", pressure.kind);
  out->set("micros", pressure.micros);
  return out;
}

PressureReport decodePressure(const Fields& in) {
  PressureReport pressure;
  in.required("tenantId", pressure.tenantId);
  in.required("resource", pressure.resource);
  in.required("kind", pressure.kind);
  in.read("micros", pressure.micros);
  return pressure;
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

std::string toJson(const NodeStatus& status) {
  auto out = json::object();
  out->set("nodeId", status.nodeId);
  out->set("bootId", status.bootId);
  out->set("observedRevision", status.observedRevision);
  out->set("instances", encodeAll(status.instances));
  out->set("builds", encodeAll(status.builds));
  out->set("events", encodeAll(status.events));
  out->set("posture", encodeAll(status.posture));
  out->set("pressures", encodeAll(status.pressures));
  return json::text(out);
}

std::string toJson(const LogLine& line) {
  auto out = json::object();
  out->set("at", line.at);
  out->set("app", line.app);
  out->set("process", line.process);
  out->set("instance", line.instance);
  out->set("stream", line.stream);
  out->set("line", line.line);
  return json::text(out);
}

NodeWork nodeWorkFromJson(const std::string& text) {
  const auto in = Fields::parse(text);
  NodeWork work;
  in.read("revision", work.revision);
  in.read("certified", work.certified);
  in.required("nodeId", work.nodeId);
  in.readList("tenants", work.tenants, decodeTenant);
  in.readList("instances", work.instances, decodeInstance);
  in.readList("builds", work.builds, decodeBuild);
  in.readList("sessions", work.sessions, decodeSession);
  in.read("keepBlobs", work.keepBlobs);
  return work;
}

NodeStatus nodeStatusFromJson(const std::string& text) {
  const auto in = Fields::parse(text);
  NodeStatus status;
  in.required("nodeId", status.nodeId);
  in.read("bootId", status.bootId);
  in.read("observedRevision", status.observedRevision);
  in.readList("instances", status.instances, decodeInstanceReport);
  in.readList("builds", status.builds, decodeBuildReport);
  in.readList("events", status.events, decodeEvent);
  in.readList("posture", status.posture, decodePosture);
  in.readList("pressures", status.pressures, decodePressure);
  return status;
}

LogLine logLineFromJson(const std::string& text) {
  const auto in = Fields::parse(text);
  LogLine line;
  in.read("at", line.at);
  in.read("app", line.app);
  in.read("process", line.process);
  in.read("instance", line.instance);
  in.read("stream", line.stream);
  in.read("line", line.line);
  return line;
}

}  // namespace cloister::model
