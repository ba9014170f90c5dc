#include "api/representation.h"
#include "api/resources/resources.h"
#include "api/source_quota.h"

namespace cloister::api {
namespace {

Json show(const store::TenantQuota& quota) {
  auto out = newObject();
  out->set("name", quota.name);
  out->set("unit", quota.unit);
  out->set("used", quota.used);
  out->set("limit", quota.limit);
  return out;
}

}  // namespace

void addQuotas(Router& router, const Services& services) {
  router.add("GET", "/v1/quotas", Access::tenant, [services](Request& request) {
    const auto& tenant = request.tenant->id;
    std::vector<Json> items;
    items.push_back(show(sourcesWaiting(services.store, services.blobs, tenant)));
    const auto builds = store::Quotas(services.store).builds(tenant);
    items.push_back(show({"build_log_bytes", "bytes", static_cast<std::int64_t>(services.buildLogs.bytesOf(builds)),
                          static_cast<std::int64_t>(store::kTenantQuotas.buildLogBytes)}));
    for (const auto& quota : store::Quotas(services.store).all(tenant)) items.push_back(show(quota));
    return answerList(items);
  });
}

}  // namespace cloister::api
