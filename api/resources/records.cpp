#include <Poco/NumberParser.h>

#include <chrono>

#include "api/ledger_failure.h"
#include "api/problem.h"
#include "api/representation.h"
#include "api/resources/resources.h"
#include "api/streaming.h"
#include "metering/base/calendar.h"

namespace cloister::api {
namespace {

constexpr auto kHeartbeat = std::chrono::seconds(15);
constexpr std::chrono::milliseconds kFollowPause(500);  // at most: a change of the store ends it
constexpr std::size_t kEventsAtOnce = 500;

Json show(const metering::UsageSum& sum, const std::string& app, metering::UsageQuery::Group group) {
  auto out = newObject();
  out->set("app", app);
  if (group == metering::UsageQuery::Group::instance) out->set("instance", sum.instanceId);
  out->set("meter", std::string(metering::meterName(sum.meter)));
  out->set("unit", std::string(metering::meterUnit(sum.meter)));
  out->set("quantity", metering::decimal(sum.quantity));
  out->set("from", formatTime(sum.from));
  out->set("to", formatTime(sum.to));
  return out;
}

Answer usage(const Services& services, const Request& request) {
  const auto now = store::now();
  metering::UsageQuery query;
  query.tenantId = request.tenant->id;
  query.from = request.time("from", now).value_or(metering::monthOf(now).from);
  query.to = request.time("to", now).value_or(now);
  if (query.from >= query.to) throw invalidField("from", "must be before to");
  if (const auto app = request.query("app")) query.appId = services.store.apps().get(request.tenant->id, *app).id;
  query.instanceId = request.query("instance").value_or("");
  if (const auto by = request.query("by").value_or("app"); by == "instance") {
    query.group = metering::UsageQuery::Group::instance;
  } else if (by != "app") {
    throw invalidField("by", "must be app or instance");
  }
  std::optional<metering::Meter> wanted;
  if (const auto meter = request.query("meter")) {
    wanted.emplace();
    if (!metering::meterFromName(*meter, *wanted)) throw invalidField("meter", "is not a known meter");
  }
  std::map<std::string, std::string> names;
  for (const auto& app : services.store.apps().list(request.tenant->id)) names[app.id] = app.name;
  const auto sums = services.ledger.query(query);
  if (!sums) throw LedgerFailure(sums.error());
  std::vector<Json> items;
  for (const auto& sum : sums.value()) {
    if (wanted && sum.meter != *wanted) continue;
    // About the metering and the account, not of an app; whoever asks for them gets them.
    if (!wanted && metering::isRecord(sum.meter)) continue;
    const auto name = names.find(sum.appId);
    items.push_back(show(sum, name == names.end() ? sum.appId : name->second, query.group));
  }
  return answerList(items);
}

std::string tenantOf(const Request& request) {
  return request.tenant ? request.tenant->id : "";
}

// By name, for what happened to an app that is gone stays.
std::string appOf(const Request& request) {
  return request.query("app").value_or("");
}

std::string frame(const model::Event& event, TenantNames& names) {
  return "id: " + std::to_string(event.id) + "\nevent: " + event.kind +
         "\ndata: " + text(represent(event, names.of(event.tenantId))) + "\n\n";
}

Answer followEvents(const Services& services, Request& request) {
  std::int64_t last = services.store.events().lastId();
  if (const auto header = request.header("Last-Event-ID"); !header.empty()) {
    Poco::Int64 id = 0;
    if (!Poco::NumberParser::tryParse64(header, id) || id < 0)
      throw invalidField("Last-Event-ID", "must be an event's id");
    last = id;
  }
  const auto held = services.streams.take(tenantOf(request));
  const auto rights = services.rights.hold(request, {}, StreamRights::Use::reading);
  TenantNames names(services.store);
  const auto app = appOf(request);
  Stream stream(request, "text/event-stream");
  auto lastSent = std::chrono::steady_clock::now();
  while (!services.stopping && rights->why().empty() && stream.open()) {
    const auto changes = services.store.changes();
    const auto events = services.store.events().since(last, tenantOf(request), app, kEventsAtOnce);
    const auto now = std::chrono::steady_clock::now();
    for (const auto& event : events) {
      stream.write(frame(event, names));
      last = event.id;
    }
    if (events.empty() && now - lastSent > kHeartbeat) stream.write(": alive\n\n");
    if (!events.empty() || now - lastSent > kHeartbeat) {
      stream.flush();
      lastSent = now;
    }
    if (events.empty()) (void)services.store.waitChange(changes, kFollowPause);
  }
  return stream.finish();
}

Answer events(const Services& services, Request& request) {
  if (request.flag("follow")) return followEvents(services, request);
  const auto page = pageOf(request);
  TenantNames names(services.store);
  return answerPage(
      page, services.store.events().list(tenantOf(request), appOf(request), page),
      [](const model::Event& event) { return std::to_string(event.id); },
      [&](const model::Event& event) { return represent(event, names.of(event.tenantId)); });
}

Answer auditTrail(const Services& services, const Request& request) {
  const auto page = pageOf(request);
  TenantNames names(services.store);
  return answerPage(
      page, services.store.audit().list(tenantOf(request), page),
      [](const model::AuditEntry& entry) { return std::to_string(entry.id); },
      [&](const model::AuditEntry& entry) { return represent(entry, names.of(entry.tenantId)); });
}

}  // namespace

void addRecords(Router& router, const Services& services) {
  router.add("GET", "/v1/usage", Access::tenant, [services](Request& request) { return usage(services, request); });
  router.add("GET", "/v1/events", Access::any, [services](Request& request) { return events(services, request); });
  router.add("GET", "/v1/audit", Access::any, [services](Request& request) { return auditTrail(services, request); });
}

}  // namespace cloister::api
