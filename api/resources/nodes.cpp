#include "api/body.h"
#include "api/representation.h"
#include "api/resources/resources.h"

namespace cloister::api {
namespace {

std::map<std::string, std::int64_t> instancesByNode(const Services& services) {
  std::map<std::string, std::int64_t> counts;
  for (const auto& record : services.store.instances().all()) ++counts[record.instance.nodeId];
  return counts;
}

Answer show(const Services& services, const std::string& nameOrId) {
  const auto node = services.store.nodes().get(nameOrId);
  return answerWith(represent(node, instancesByNode(services)[node.id], services.store.nodes().keys(node.name)));
}

Answer setState(const Services& services, const Request& request, model::NodeState state) {
  Body(request.body).finish();
  const auto node = services.store.nodes().get(request.parameter("node"));
  services.store.nodes().setState(node.id, state);
  services.store.bumpRevision();
  return show(services, node.id);
}

}  // namespace

void addNodes(Router& router, const Services& services) {
  router.add("GET", "/v1/nodes", Access::provider, [services](Request& request) {
    const auto page = pageOf(request);
    auto counts = instancesByNode(services);
    const auto keys = services.store.nodes().keys();
    return answerPage(
        page, services.store.nodes().list(page), [](const model::Node& node) { return node.name; },
        [&](const model::Node& node) { return represent(node, counts[node.id], keys); });
  });
  // For tenants too: with these they verify what their statements rest on.
  router.add("GET", "/v1/node-keys", Access::any, [services](Request&) {
    std::vector<Json> items;
    for (const auto& key : services.store.nodes().keys()) items.push_back(represent(key));
    return answerList(items);
  });
  router.add("GET", "/v1/nodes/{node}", Access::provider,
             [services](Request& request) { return show(services, request.parameter("node")); });
  router.add("POST", "/v1/nodes/{node}/cordon", Access::provider,
             [services](Request& request) { return setState(services, request, model::NodeState::cordoned); });
  router.add("POST", "/v1/nodes/{node}/uncordon", Access::provider,
             [services](Request& request) { return setState(services, request, model::NodeState::ready); });
  router.add("POST", "/v1/nodes/{node}/drain", Access::provider,
             [services](Request& request) { return setState(services, request, model::NodeState::draining); });
  router.add("DELETE", "/v1/nodes/{node}", Access::provider, [services](Request& request) {
    services.store.nodes().remove(services.store.nodes().get(request.parameter("node")).id);
    return Answer{204, "", {}};
  });
}

}  // namespace cloister::api
