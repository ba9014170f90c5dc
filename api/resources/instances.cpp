#include "api/representation.h"
#include "api/resources/resources.h"

namespace cloister::api {
namespace {

// Names of nodes and apps by their ids.
struct Names {
  std::map<std::string, std::string> nodes;
  std::map<std::string, std::string> apps;

  Names(const Services& services, const std::string& tenantId) {
    for (const auto& node : services.store.nodes().list()) nodes[node.id] = node.name;
    for (const auto& app : services.store.apps().list(tenantId)) apps[app.id] = app.name;
  }
};

Answer answerInstances(const Services& services, const Request& request, const store::Page& page,
                       const std::vector<store::InstanceRecord>& records) {
  Names names(services, request.tenant->id);
  return answerPage(
      page, records, [](const store::InstanceRecord& record) { return record.instance.id; },
      [&](const store::InstanceRecord& record) {
        const auto& instance = record.instance;
        auto out = represent(instance, names.apps[instance.appId], names.nodes[instance.nodeId]);
        if (record.kind == store::InstanceKind::oneOff) out->set("one_off", true);
        return out;
      });
}

}  // namespace

void addInstances(Router& router, const Services& services) {
  router.add("GET", "/v1/apps/{app}/instances", Access::tenant, [services](Request& request) {
    const auto page = pageOf(request);
    return answerInstances(services, request, page,
                           services.store.instances().ofApp(appOf(services, request).id, page));
  });
  router.add("GET", "/v1/instances", Access::tenant, [services](Request& request) {
    const auto page = pageOf(request);
    return answerInstances(services, request, page, services.store.instances().ofTenant(request.tenant->id, page));
  });
}

}  // namespace cloister::api
