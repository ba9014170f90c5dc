#include <cerrno>
#include <charconv>
#include <chrono>
#include <map>
#include <optional>
#include <utility>

#include "api/problem.h"
#include "api/representation.h"
#include "api/resources/billing_common.h"
#include "api/resources/resources.h"
#include "api/streaming.h"
#include "metering/base/calendar.h"
#include "metering/export/head.h"

namespace cloister::api {
namespace {

using Clock = std::chrono::steady_clock;

constexpr auto kProgressEvery = std::chrono::seconds(1);
constexpr std::size_t kChainsAtOnce = 500;

template <typename T>
T numberIn(std::string_view text) {
  T value{};
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc{} || end != text.data() + text.size())
    throw invalidField("cursor", "is not one that this API gave");
  return value;
}

Json show(const Services& services, const metering::ChainEnd& end, TenantNames& names) {
  metering::PublishedHead head{end.tenantId, end.rows, metering::hexadecimal(end.hash), formatTime(end.recordedAt), ""};
  metering::sign(head, services.signingKey);
  auto out = newObject();
  out->set("tenant", names.of(end.tenantId));
  out->set("tenant_id", head.tenantId);
  out->set("rows", head.rows);
  out->set("hash", head.hash);
  out->set("recorded_at", head.recordedAt);
  out->set("public_key", services.signingKey.publicKey());
  out->set("signature", head.signature);
  return out;
}

Answer showHead(const Services& services, const Request& request) {
  TenantNames names(services.store);
  return answerWith(show(services, good(services.ledger.head(request.tenant->id)), names));
}

Answer listHeads(const Services& services, const Request& request) {
  const auto page = pageOf(request);
  const auto after = page.after.empty() ? 0 : numberIn<std::int64_t>(page.after);
  TenantNames names(services.store);
  return answerPage(
      page, good(services.ledger.heads(after, page.limit)),
      [](const metering::ChainEnd& end) { return std::to_string(end.key); },
      [&](const metering::ChainEnd& end) { return show(services, end, names); });
}

Answer listAnomalies(const Services& services, const Request& request) {
  const auto page = pageOf(request);
  const auto before = page.after.empty() ? INT64_MAX : numberIn<std::int64_t>(page.after);
  return answerPage(
      page, good(services.ledger.anomalies(page.limit, before)),
      [](const metering::Anomaly& anomaly) { return std::to_string(anomaly.id); },
      [](const metering::Anomaly& anomaly) {
        auto out = newObject();
        out->set("at", formatTime(anomaly.at));
        out->set("node", anomaly.source);
        out->set("sequence", anomaly.sequence);
        out->set("recorded_digest", anomaly.stored);
        out->set("refused_digest", anomaly.digest);
        out->set("reason", anomaly.reason);
        return out;
      });
}

// The chains that a verification walks, one after the other, so that none of a large ledger's is held in memory.
class Chains {
 public:
  Chains(const Services& services, const Request& request) : services_(services) {
    // ?tenant= of a provider's resource is not looked up by the server.
    if (const auto name = request.query("tenant")) only_ = services.store.tenants().get(*name).id;
  }
  std::optional<std::string> next() {
    if (only_) {
      if (std::exchange(ended_, true)) return std::nullopt;
      return only_;
    }
    if (at_ == page_.size() && !ended_) {
      page_ = good(services_.ledger.heads(page_.empty() ? 0 : page_.back().key, kChainsAtOnce));
      at_ = 0;
      ended_ = page_.size() < kChainsAtOnce;
    }
    if (at_ == page_.size()) return std::nullopt;
    return page_[at_++].tenantId;
  }

 private:
  const Services& services_;
  std::optional<std::string> only_;
  std::vector<metering::ChainEnd> page_;
  std::size_t at_ = 0;
  bool ended_ = false;
};

std::string frame(const std::string& event, const Json& data) {
  return "event: " + event + "\ndata: " + text(data) + "\n\n";
}

Answer verify(const Services& services, Request& request) {
  Chains chains(services, request);
  const auto held = services.streams.take("");
  TenantNames names(services.store);
  Stream stream(request, "text/event-stream");
  std::uint64_t rows = 0;
  std::uint64_t walked = 0;
  std::uint64_t broken = 0;
  auto told = Clock::now();
  while (const auto id = chains.next()) {
    auto out = newObject();
    out->set("tenant", names.of(*id));
    const auto found = services.ledger.verify(*id, [&](std::uint64_t so) {
      if (const auto now = Clock::now(); now - told >= kProgressEvery) {
        told = now;
        out->set("rows", so);
        stream.write(frame("progress", out));
        stream.flush();
      }
      return !services.stopping && stream.open();
    });
    // Whoever asked is gone, or the daemon ends: without the event "done", what was sent is no result.
    if (!found && found.error().code == ECANCELED) return stream.finish();
    const auto verification = good(found);
    out->set("rows", verification.rows);
    out->set("whole", verification.whole());
    if (!verification.whole()) {
      out->set("bad_row", verification.badRow);
      out->set("reason", verification.reason);
      ++broken;
    }
    stream.write(frame("chain", out));
    rows += verification.rows;
    ++walked;
  }
  auto sum = newObject();
  sum->set("chains", walked);
  sum->set("rows", rows);
  sum->set("broken", broken);
  stream.write(frame("done", sum));
  return stream.finish();
}

Answer listGaps(const Services& services, const Request& request) {
  const auto page = pageOf(request);
  const auto now = store::now();
  metering::GapQuery query;
  if (request.tenant) query.tenantId = request.tenant->id;
  query.from = request.time("from", now).value_or(metering::monthOf(now).from);
  query.to = request.time("to", now).value_or(now);
  if (query.from >= query.to) throw invalidField("from", "must be before to");
  query.limit = page.limit;
  if (const auto dot = page.after.find('.'); !page.after.empty()) {
    if (dot == std::string::npos) throw invalidField("cursor", "is not one that this API gave");
    query.afterChain = numberIn<std::int64_t>(std::string_view(page.after).substr(0, dot));
    query.afterNumber = numberIn<std::uint64_t>(std::string_view(page.after).substr(dot + 1));
  }
  TenantNames names(services.store);
  // By tenant: a provider's page has those of many.
  std::map<std::string, std::map<std::string, std::string>> apps;
  const auto appName = [&](const metering::GapRow& gap) -> std::string {
    if (gap.appId.empty()) return {};
    const auto [known, fresh] = apps.try_emplace(gap.tenantId);
    if (fresh) {
      for (const auto& app : services.store.apps().list(gap.tenantId)) known->second[app.id] = app.name;
    }
    const auto name = known->second.find(gap.appId);
    return name == known->second.end() ? gap.appId : name->second;
  };
  return answerPage(
      page, good(services.ledger.gaps(query)),
      [](const metering::GapRow& gap) { return std::to_string(gap.chain) + '.' + std::to_string(gap.number); },
      [&](const metering::GapRow& gap) {
        auto out = newObject();
        out->set("tenant", names.of(gap.tenantId));
        out->set("row", gap.number);
        out->set("app", appName(gap));
        out->set("instance", gap.instanceId);
        out->set("node", gap.source);
        out->set("reason", gap.reason);
        out->set("milliseconds", gap.milliseconds);
        out->set("from", formatTime(gap.from));
        out->set("to", formatTime(gap.to));
        return out;
      });
}

}  // namespace

void addLedger(Router& router, const Services& services) {
  router.add("GET", "/v1/ledger/head", Access::tenant,
             [services](Request& request) { return showHead(services, request); });
  router.add("GET", "/v1/ledger/heads", Access::provider,
             [services](Request& request) { return listHeads(services, request); });
  router.add("GET", "/v1/ledger/verification", Access::provider,
             [services](Request& request) { return verify(services, request); });
  router.add("GET", "/v1/ledger/anomalies", Access::provider,
             [services](Request& request) { return listAnomalies(services, request); });
  router.add("GET", "/v1/usage/gaps", Access::any,
             [services](Request& request) { return listGaps(services, request); });
}

}  // namespace cloister::api
