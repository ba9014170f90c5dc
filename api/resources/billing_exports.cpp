#include <Poco/JSON/Parser.h>

#include "api/problem.h"
#include "api/resources/billing_common.h"
#include "api/resources/resources.h"
#include "api/streaming.h"
#include "metering/export/documents.h"
#include "metering/export/focus.h"

namespace cloister::api {
namespace {

metering::Invoice invoiceOf(const Services& services, const Request& request) {
  const auto& id = request.parameter("id");
  auto invoice = good(services.billing.invoice(id));
  // Another tenant's is as if it were not there.
  if (!invoice || (request.caller->scope == model::Scope::tenant && invoice->tenantId != request.tenant->id))
    throw notFound("the invoice \"" + id + "\"");
  return std::move(*invoice);
}

metering::AppNames appNamesOf(const Services& services, const std::string& tenantId) {
  metering::AppNames names;
  for (const auto& app : services.store.apps().list(tenantId, {"", 1'000'000})) names[app.id] = app.name;
  return names;
}

Answer file(std::string body, const std::string& type) {
  Answer answer;
  answer.body = std::move(body);
  answer.type = type;
  return answer;
}

Answer statement(const Services& services, Request& request, const metering::Invoice& invoice) {
  Stream stream(request, "text/plain; charset=utf-8");
  std::vector<metering::NodeKey> nodes;
  for (const auto& key : services.store.nodes().keys()) nodes.push_back({key.node, key.publicKey, key.since});
  const auto written = services.billing.statement(invoice, services.signingKey, nodes,
                                                  [&stream](std::string_view text) { stream.write(text); });
  // The head is out: a file without its seal does not verify, and the connection's end says that it is cut.
  good(written);
  return stream.finish();
}

struct Wanted {
  std::string format;
  metering::FocusVersion focusVersion = metering::FocusVersion::v12;
};

Wanted wantedIn(const Request& request) {
  Wanted wanted{request.query("format").value_or("json")};
  const auto version = request.query("focus_version");
  if (!version) return wanted;
  if (wanted.format != "focus") throw invalidField("focus_version", "goes with format=focus alone");
  const auto known = metering::parseFocusVersion(*version);
  if (!known) throw invalidField("focus_version", "must be 1.2 or 1.3");
  wanted.focusVersion = *known;
  return wanted;
}

Answer show(const Services& services, Request& request, const metering::Invoice& invoice, const Wanted& wanted) {
  const auto& format = wanted.format;
  if (format == "json") return answerWith(parsed(metering::toJson(invoice)));
  if (format == "statement") return statement(services, request, invoice);
  const auto names = appNamesOf(services, invoice.tenantId);
  if (format == "csv") return file(metering::invoiceCsv(invoice, names), "text/csv; charset=utf-8");
  if (format == "html")
    return file(metering::invoiceHtml(invoice, names, services.config.provider), "text/html; charset=utf-8");
  std::string text;
  const auto sink = [&text](std::string_view part) { text += part; };
  if (format == "events") {
    metering::writeCloudEvents(invoice.tenantId, good(services.billing.hoursOf(invoice)), sink);
    return file(std::move(text), "application/x-ndjson");
  }
  if (format == "focus") {
    metering::writeFocus(invoice, good(services.billing.chargesOf(invoice)), good(services.billing.lineageOf(invoice)),
                         {services.config.provider, services.config.region, names, wanted.focusVersion}, sink);
    return file(std::move(text), "text/csv; charset=utf-8");
  }
  throw invalidField("format", "must be json, csv, html, focus, events or statement");
}

}  // namespace

Json parsed(const std::string& json) {
  return Poco::JSON::Parser().parse(json).extract<Json>();
}

metering::Period monthIn(const Request& request) {
  const auto period = metering::parseMonth(request.parameter("period"));
  if (!period) throw invalidField("period", "must be a month such as 2026-11");
  return *period;
}

model::Failure ratingFailure(const Error& error) {
  const std::string detail = error.operation + ' ' + error.path;
  if (error.code == ERANGE) return {"amount_range", detail};
  if (error.stage == "rating" || error.stage == "invoice") return {"price_missing", detail};
  if (error.stage == "period") return {"period_order", error.operation};
  throw LedgerFailure(error);
}

void throwRating(const Error& error) {
  const auto failure = ratingFailure(error);
  throw unacceptable(failure.code, "period", failure.detail);
}

metering::Invoice draftOf(const Services& services, const model::Tenant& tenant, const metering::Period& period) {
  return rated(services.billing.draft(tenant.id, tenant.name, period));
}

void addBillingExports(Router& router, const Services& services) {
  router.add("GET", "/v1/invoices/{id}", Access::any, [services](Request& request) {
    const auto wanted = wantedIn(request);
    return show(services, request, invoiceOf(services, request), wanted);
  });
  // The month's invoice, or a draft while it is not closed.
  router.add("GET", "/v1/periods/{period}/invoice", Access::tenant, [services](Request& request) {
    const auto period = monthIn(request);
    const auto wanted = wantedIn(request);
    auto closed = good(services.billing.invoice(metering::invoiceId(request.tenant->id, period)));
    return show(services, request, closed ? *closed : draftOf(services, *request.tenant, period), wanted);
  });
  router.add("GET", "/v1/signing-key", Access::open, [services](Request&) {
    auto out = newObject();
    out->set("algorithm", std::string("ed25519"));
    out->set("public_key", services.signingKey.publicKey());
    return answerWith(out);
  });
}

}  // namespace cloister::api
