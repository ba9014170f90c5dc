#include "api/node/endpoints.h"

#include <Poco/Exception.h>
#include <Poco/Net/HTTPServerRequest.h>
#include <Poco/Net/HTTPServerResponse.h>
#include <Poco/Net/WebSocket.h>
#include <spdlog/spdlog.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <fstream>
#include <istream>
#include <optional>

#include "api/ledger_failure.h"
#include "api/problem.h"
#include "api/relay.h"
#include "api/representation.h"
#include "api/server.h"
#include "controlplane/store/node_tokens.h"
#include "controlplane/store/quotas.h"
#include "metering/base/batch_json.h"
#include "metering/base/lifecycle.h"
#include "metering/base/seal.h"
#include "metering/ledger/plausibility.h"
#include "sandbox/base/identity.h"

namespace cloister::api {
namespace {

constexpr std::size_t kMaxStatus = 16UL << 20U;
constexpr std::size_t kMaxUsage = 16UL << 20U;
constexpr std::size_t kMaxLogChunk = 1UL << 20U;
constexpr std::chrono::seconds kPoll(25);

std::string bodyOf(Request& request, std::size_t limit) {
  acceptBody(request);
  std::istream& in = request.raw.stream();
  std::string text;
  std::array<char, 65'536> buffer{};
  while (in.read(buffer.data(), buffer.size()) || in.gcount() > 0) {
    text.append(buffer.data(), static_cast<std::size_t>(in.gcount()));
    if (text.size() > limit) throw builds::TooLarge(limit);
  }
  requireWholeBody(request);
  request.bodyRead = true;
  return text;
}

const Answer kNoContent{204, "", {}};

// Whoever speaks as a node has that node's token. Its name.
std::string speaker(const Services& services, const Request& request, const std::string& node) {
  return store::NodeTokens(services.store).require(request.caller->id, node);
}

// The id of the node that the token speaks for; empty: of none that is known.
std::string ownNode(const Services& services, const Request& request) {
  const auto node = services.store.nodes().find(store::NodeTokens(services.store).nodeOf(request.caller->id));
  return node ? node->id : std::string();
}

Answer desired(const Services& services, const Request& request) {
  const auto node = request.query("node");
  if (!node || node->empty() || node->size() > 64) throw Problem(400, "missing_field", "node is required", "node");
  const auto revision = request.integer("revision", -1, INT64_MAX).value_or(-1);
  (void)speaker(services, request, *node);
  Workers::becomeLong(*node);
  const auto until = std::chrono::steady_clock::now() + kPoll;
  // A node that knows more than the store talks to a restored one: it gets what there is.
  auto current = services.store.revision();
  while (current == revision && !services.stopping && std::chrono::steady_clock::now() < until) {
    const auto left = std::chrono::duration_cast<std::chrono::milliseconds>(until - std::chrono::steady_clock::now());
    current = services.store.waitRevision(revision, left + std::chrono::milliseconds(1));
  }
  if (current == revision) return kNoContent;
  auto work = services.nodeWork.work(*node);
  work.sessions = services.sessions.waiting(work.nodeId);
  Answer answer;
  answer.body = model::toJson(work);
  return answer;
}

Answer status(const Services& services, Request& request) {
  model::NodeStatus report;
  try {
    report = model::nodeStatusFromJson(bodyOf(request, kMaxStatus));
  } catch (const Poco::Exception& error) {
    throw Problem(400, "malformed_json", error.message());
  }
  (void)speaker(services, request, report.nodeId);
  services.nodeWork.apply(report);
  for (const auto& pressure : report.pressures) {
    if (!services.store.tenants().find(pressure.tenantId)) continue;
    services.exposition.setPressure(report.nodeId, pressure.tenantId,
                                    {pressure.resource, pressure.kind, pressure.micros});
  }
  return kNoContent;
}

// A seal that no key of its host signed is recorded all the same: refusing the batch would lose its usage, and whoever
// verifies a statement finds it again. The provider hears of it now.
void checkSeals(const Services& services, const metering::UsageBatch& batch) {
  std::optional<std::vector<model::NodeKey>> keys;
  std::uint64_t bad = 0;
  for (const auto& row : batch.rows) {
    if (row.meter != metering::Meter::seal) continue;
    if (!keys) keys = services.store.nodes().keys(batch.source);
    const auto seal = metering::parseSeal(row.note);
    const bool good = seal && std::any_of(keys->begin(), keys->end(), [&](const model::NodeKey& key) {
                        return metering::isSealedBy(key.publicKey, batch.source, row, *seal);
                      });
    if (!good) ++bad;
  }
  if (bad == 0) return;
  services.exposition.countBadSeals(bad);
  const auto text = std::to_string(bad) + " seals in batch " + std::to_string(batch.sequence) + " of " + batch.source +
                    " are of no key that it has reported";
  spdlog::warn("usage: {}", text);
  services.store.events().append("", "", "node.bad_seal", text);
}

// Fees follow from the control plane's own rows, and a check of seals asks no host to vouch for them.
void refuseControlPlanes(const metering::UsageBatch& batch) {
  const std::string name = metering::kControlPlane;
  if (batch.source == name) throw Problem(400, "invalid_usage", "\"" + name + "\" is no node", "source");
  for (std::size_t i = 0; i < batch.rows.size(); ++i) {
    if (!metering::isControlPlanes(batch.rows[i].meter)) continue;
    throw Problem(400, "invalid_usage", "a node has no rows of this meter", "rows[" + std::to_string(i) + "].meter");
  }
}

// On record for the provider, once.
void refuseUsage(const Services& services, const metering::UsageBatch& batch, const std::string& reason) {
  const auto fresh = services.ledger.refuse(batch, store::now(), reason);
  if (!fresh) throw LedgerFailure(fresh.error());
  if (!fresh.value()) return;
  const auto text = "batch " + std::to_string(batch.sequence) + " of " + batch.source + ": " + reason;
  spdlog::warn("usage: {}", text);
  services.store.events().append("", "", "node.usage_refused", text);
}

bool knownTenant(const Services& services, const std::string& id) {
  if (services.store.tenants().find(id)) return true;
  // One that is gone: what was measured until its end comes late.
  const auto head = services.ledger.head(id);
  if (!head) throw LedgerFailure(head.error());
  return head->rows > 0;
}

Answer acknowledge(const metering::UsageBatch& batch) {
  auto out = newObject();
  out->set("acknowledged", batch.sequence);
  return answerWith(out);
}

Answer usage(const Services& services, Request& request) {
  const auto batch = metering::usageBatchFromJson(bodyOf(request, kMaxUsage));
  if (!batch) throw Problem(400, "invalid_usage", batch.error().message(), batch.error().path);
  refuseControlPlanes(*batch);
  if (!services.store.nodes().find(batch->source)) {
    throw Problem(403, "node_unknown", "no node \"" + batch->source + "\" has asked for its work yet", "source");
  }
  (void)speaker(services, request, batch->source);
  if (const auto reason = metering::endsInTheFuture(*batch, store::now())) {
    // The node keeps it and asks again: the moment may come.
    refuseUsage(services, *batch, *reason);
    throw Problem(422, "usage_implausible", *reason, "rows");
  }
  metering::HostBounds bounds;
  bounds.cores = static_cast<std::uint64_t>(services.config.maxNodeCores);
  const auto known = [&](const std::string& tenant) { return knownTenant(services, tenant); };
  if (const auto reason = metering::implausible(*batch, bounds, known)) {
    refuseUsage(services, *batch, *reason);
    return acknowledge(*batch);
  }
  const auto appended = services.ledger.append(batch.value(), store::now());
  if (!appended) throw LedgerFailure(appended.error());
  if (appended.value() == metering::Appended::refused) {
    throw Problem(409, "usage_conflict", "this sequence is on record with other content");
  }
  if (appended.value() == metering::Appended::recorded) {
    services.exposition.observe(batch.value());
    checkSeals(services, batch.value());
  }
  return acknowledge(*batch);
}

std::string digestOf(const Request& request) {
  const auto& digest = request.parameter("digest");
  if (!validDigest(digest)) throw invalidField("digest", "must be 64 lower-case hexadecimal digits");
  return digest;
}

Answer getBlob(const Services& services, Request& request) {
  const auto digest = digestOf(request);
  const auto size = services.blobs.size(digest);
  if (!size) throw notFound("the blob " + digest);
  Workers::becomeLong("blobs");
  std::ifstream file(services.blobs.path(digest), std::ios::binary);
  auto& response = request.rawResponse;
  response.setContentType("application/octet-stream");
  response.setContentLength64(static_cast<Poco::Int64>(*size));
  response.setKeepAlive(false);
  std::ostream& out = response.send();
  std::string buffer(256UL * 1024, '\0');
  while (out.good() && (file.read(buffer.data(), static_cast<std::streamsize>(buffer.size())) || file.gcount() > 0)) {
    out.write(buffer.data(), file.gcount());
  }
  out.flush();
  Answer answer;
  answer.sent = true;
  return answer;
}

Answer hasBlob(const Services& services, const Request& request) {
  const auto digest = digestOf(request);
  // Our own copy may be one that nothing refers to and that goes soon; the launcher's is there because the node gave
  // it.
  if (!services.blobs.isShared(digest)) throw notFound("the blob " + digest);
  return kNoContent;
}

Answer putBlob(const Services& services, Request& request) {
  const auto digest = digestOf(request);
  const auto limit = services.config.maxSlugBytes;
  if (request.raw.hasContentLength() && static_cast<std::uint64_t>(request.raw.getContentLength64()) > limit) {
    throw builds::TooLarge(limit);
  }
  acceptBody(request);
  (void)services.blobs.put(request.raw.stream(), limit, digest);
  requireWholeBody(request);
  request.bodyRead = true;
  return {201, "{}", {}};
}

Answer joinSession(const Services& services, Request& request) {
  const auto waiting = services.sessions.waiting(ownNode(services, request));
  const bool own = std::any_of(waiting.begin(), waiting.end(),
                               [&](const auto& session) { return session.id == request.parameter("id"); });
  if (!own) throw notFound("a client that waits for session " + request.parameter("id"));
  const bool joined = services.sessions.join(request.parameter("id"), [&] {
    auto socket = std::make_unique<Poco::Net::WebSocket>(request.raw, request.rawResponse);
    socket->setMaxPayloadSize(kMaxFrameBytes);
    return socket;
  });
  if (!joined) throw notFound("a client that waits for session " + request.parameter("id"));
  Answer answer;
  answer.status = 101;
  answer.sent = true;
  return answer;
}

Answer buildLog(const Services& services, Request& request) {
  const auto build = services.store.builds().get(request.parameter("id"));
  if (build.nodeId != ownNode(services, request)) throw notFound("the build " + build.id + " of this node");
  const auto chunk = bodyOf(request, kMaxLogChunk);
  // The first of a build's output makes room for all of it among its tenant's logs.
  if (services.buildLogs.bytesOf({build.id}) == 0) {
    const std::uint64_t most = store::kTenantQuotas.buildLogBytes;
    const auto own = std::min(services.config.maxBuildLogBytes, most);
    services.buildLogs.keep(store::Quotas(services.store).builds(build.tenantId), most - own);
  }
  services.buildLogs.append(build.id, chunk);
  return kNoContent;
}

}  // namespace

void addNodeEndpoints(Router& router, const Services& services) {
  router.add("GET", "/node/v1/desired", Access::node,
             [services](Request& request) { return desired(services, request); });
  router.add("POST", "/node/v1/status", Access::node, Payload::stream,
             [services](Request& request) { return status(services, request); });
  router.add("POST", "/node/v1/usage", Access::node, Payload::stream,
             [services](Request& request) { return usage(services, request); });
  router.add("GET", "/node/v1/blobs/{digest}", Access::node,
             [services](Request& request) { return getBlob(services, request); });
  router.add("GET", "/node/v1/blobs/{digest}/present", Access::node,
             [services](Request& request) { return hasBlob(services, request); });
  router.add("PUT", "/node/v1/blobs/{digest}", Access::node, Payload::stream,
             [services](Request& request) { return putBlob(services, request); });
  router.add("GET", "/node/v1/sessions/{id}", Access::node,
             [services](Request& request) { return joinSession(services, request); });
  router.add("POST", "/node/v1/builds/{id}/log", Access::node, Payload::stream,
             [services](Request& request) { return buildLog(services, request); });
}

}  // namespace cloister::api
