#include "api/body.h"
#include "api/problem.h"
#include "api/representation.h"
#include "api/resources/resources.h"

namespace cloister::api {
namespace {

Answer show(const model::Tenant& tenant, int status = 200) {
  Answer answer = answerWith(represent(tenant), status);
  answer.headers["ETag"] = etag(tenant.revision);
  return answer;
}

// The plan in a body is a value, not the resource: an unknown one is the body's fault.
std::string planOf(const Services& services, Body& body) {
  auto plan = body.text("plan");
  body.finish();
  if (!services.store.plans().find(plan)) throw unacceptable("plan_unknown", "plan", "no plan \"" + plan + "\"");
  return plan;
}

model::Tenant find(const Services& services, const Request& request) {
  return services.store.tenants().get(request.parameter("name"));
}

}  // namespace

void addTenants(Router& router, const Services& services) {
  router.add("GET", "/v1/tenants", Access::provider, [services](Request& request) {
    const auto page = pageOf(request);
    return answerPage(
        page, services.store.tenants().list(page), [](const model::Tenant& tenant) { return tenant.name; },
        [](const model::Tenant& tenant) { return represent(tenant); });
  });
  router.add("POST", "/v1/tenants", Access::provider, [services](Request& request) {
    Body body(request.body);
    const auto name = body.text("name");
    const auto plan = planOf(services, body);
    const auto tenant = services.store.tenants().create(name, plan);
    services.exposition.setPlan(tenant.id, plan);
    Answer answer = show(tenant, 201);
    answer.headers["Location"] = "/v1/tenants/" + name;
    return answer;
  });
  router.add("GET", "/v1/tenants/{name}", Access::any, [services](Request& request) {
    const auto& name = request.parameter("name");
    if (request.caller->scope == model::Scope::tenant && name != request.tenant->name && name != request.tenant->id) {
      throw notFound("the tenant \"" + name + "\"");
    }
    return show(find(services, request));
  });
  router.add("PATCH", "/v1/tenants/{name}", Access::provider, [services](Request& request) {
    request.tenant = find(services, request);
    request.requireMatch(request.tenant->revision);
    Body body(request.body);
    const auto plan = planOf(services, body);
    const auto tenant = services.store.tenants().setPlan(request.tenant->id, plan);
    services.exposition.setPlan(tenant.id, plan);
    return show(tenant);
  });
  router.add("DELETE", "/v1/tenants/{name}", Access::provider, [services](Request& request) {
    request.tenant = find(services, request);
    request.requireMatch(request.tenant->revision);
    return accepted(services.deployments.removeTenant(request.tenant->id));
  });
  router.add("POST", "/v1/tenants/{name}/suspend", Access::provider, [services](Request& request) {
    Body(request.body).finish();
    request.tenant = find(services, request);
    return show(services.deployments.suspend(request.tenant->id));
  });
  router.add("POST", "/v1/tenants/{name}/resume", Access::provider, [services](Request& request) {
    Body(request.body).finish();
    request.tenant = find(services, request);
    return show(services.deployments.resume(request.tenant->id));
  });
}

}  // namespace cloister::api
