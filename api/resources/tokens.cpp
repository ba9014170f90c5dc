#include "api/body.h"
#include "api/problem.h"
#include "api/representation.h"
#include "api/resources/resources.h"
#include "controlplane/store/node_tokens.h"

namespace cloister::api {
namespace {

constexpr std::size_t kMaxTokenName = 100;

model::Token visible(const Services& services, const Request& request) {
  auto token = services.store.tokens().get(request.parameter("id"));
  const bool own = request.caller->scope == model::Scope::provider || token.tenantId == request.tenant->id;
  if (!own) throw notFound("the token");
  return token;
}

model::Scope scopeOf(Body& body) {
  const auto text = body.optionalText("scope").value_or("tenant");
  const auto scope = model::scope(text);
  if (!scope) throw unacceptable("invalid_field", "scope", "scope must be provider, tenant or node");
  return *scope;
}

Answer create(const Services& services, Request& request) {
  Body body(request.body);
  const auto name = body.text("name");
  const auto scope = scopeOf(body);
  const auto tenantName = body.optionalText("tenant");
  const auto node = body.optionalText("node");
  body.finish();
  if (name.empty() || name.size() > kMaxTokenName) {
    throw unacceptable("invalid_field", "name", "name must have 1 to " + std::to_string(kMaxTokenName) + " bytes");
  }
  if (request.caller->scope == model::Scope::tenant) {
    if (scope != model::Scope::tenant) throw Problem(403, "forbidden", "a provider's token is required", "scope");
    if (tenantName && *tenantName != request.tenant->name) {
      throw Problem(403, "forbidden", "the token acts for another tenant", "tenant");
    }
  } else if (scope == model::Scope::tenant) {
    if (tenantName) request.tenant = services.store.tenants().find(*tenantName);
    if (!request.tenant && tenantName)
      throw unacceptable("tenant_unknown", "tenant", "no tenant \"" + *tenantName + "\"");
    if (!request.tenant) throw Problem(400, "missing_field", "tenant is required for scope tenant", "tenant");
  } else if (tenantName) {
    throw unacceptable("invalid_field", "tenant", "only a token of scope tenant has a tenant");
  }
  if (node && scope != model::Scope::node) {
    throw unacceptable("invalid_field", "node", "only a token of scope node has a node");
  }
  const bool forTenant = scope == model::Scope::tenant;
  const auto made = services.store.tokens().create(name, scope, forTenant ? request.tenant->id : "");
  if (node) store::NodeTokens(services.store).bind(made.token.id, *node);
  auto out = represent(made.token, forTenant ? request.tenant->name : "");
  out->set("secret", made.secret);
  Answer answer = answerWith(out, 201);
  answer.headers["Location"] = "/v1/tokens/" + made.token.id;
  return answer;
}

}  // namespace

void addTokens(Router& router, const Services& services) {
  router.add("GET", "/v1/tokens", Access::any, [services](Request& request) {
    const auto page = pageOf(request);
    TenantNames names(services.store);
    return answerPage(
        page, services.store.tokens().list(request.tenant ? request.tenant->id : "", page),
        [](const model::Token& token) { return token.id; },
        [&](const model::Token& token) { return represent(token, names.of(token.tenantId)); });
  });
  router.add("POST", "/v1/tokens", Access::any, [services](Request& request) { return create(services, request); });
  router.add("GET", "/v1/tokens/{id}", Access::any, [services](Request& request) {
    const auto token = visible(services, request);
    return answerWith(represent(token, TenantNames(services.store).of(token.tenantId)));
  });
  router.add("DELETE", "/v1/tokens/{id}", Access::any, [services](Request& request) {
    services.store.tokens().revoke(visible(services, request).id);
    return Answer{204, "", {}};
  });
}

}  // namespace cloister::api
