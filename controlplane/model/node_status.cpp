// The node's half: status and log lines. Work is in node_protocol.cpp.
#include "controlplane/model/json_fields.h"
#include "controlplane/model/node_protocol.h"

namespace cloister::model {
namespace {

using json::Fields;
using Object = Poco::JSON::Object::Ptr;

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
  out->set("nextStartAt", report.nextStartAt);
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
  in.read("nextStartAt", report.nextStartAt);
  in.read("calls", report.calls);
  return report;
}

Object encode(const BuildReport& report) {
  auto out = json::object();
  out->set("id", report.id);
  out->set("state", std::string(name(report.state)));
  out->set("slugDigest", report.slugDigest);
  out->set("slugBytes", report.slugBytes);
  out->set("layers", json::array(report.layers, [](const BuiltLayer& layer) {
             auto item = json::object();
             item->set("step", layer.step);
             item->set("digest", layer.digest);
             item->set("bytes", layer.bytes);
             return item;
           }));
  out->set("failure", encode(report.failure));
  if (!report.calls.empty()) out->set("calls", json::array(report.calls));
  return out;
}

BuildReport decodeBuildReport(const Fields& in) {
  BuildReport report;
  in.required("id", report.id);
  in.read("state", report.state, buildState);
  in.read("slugDigest", report.slugDigest);
  in.read("slugBytes", report.slugBytes);
  in.readList("layers", report.layers, [](const Fields& item) {
    BuiltLayer layer;
    item.read("step", layer.step);
    item.required("digest", layer.digest);
    item.read("bytes", layer.bytes);
    return layer;
  });
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

std::string toJson(const NodeStatus& status) {
  auto out = json::object();
  out->set("nodeId", status.nodeId);
  out->set("bootId", status.bootId);
  out->set("signingKey", status.signingKey);
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

NodeStatus nodeStatusFromJson(const std::string& text) {
  const auto in = Fields::parse(text);
  NodeStatus status;
  in.required("nodeId", status.nodeId);
  in.read("bootId", status.bootId);
  in.read("signingKey", status.signingKey);
  in.read("observedRevision", status.observedRevision);
  in.readEach("instances", status.instances, status.refused, decodeInstanceReport);
  in.readEach("builds", status.builds, status.refused, decodeBuildReport);
  in.readEach("events", status.events, status.refused, decodeEvent);
  in.readEach("posture", status.posture, status.refused, decodePosture);
  in.readEach("pressures", status.pressures, status.refused, decodePressure);
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
