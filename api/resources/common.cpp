#include "api/representation.h"
#include "api/resources/resources.h"

namespace cloister::api {

model::App appOf(const Services& services, const Request& request) {
  return services.store.apps().get(request.tenant->id, request.parameter("app"));
}

Answer accepted(const model::Operation& operation) {
  Answer answer = answerWith(represent(operation), 202);
  answer.headers["Location"] = "/v1/operations/" + operation.id;
  return answer;
}

std::string TenantNames::of(const std::string& id) {
  if (id.empty()) return {};
  const auto known = known_.find(id);
  if (known != known_.end()) return known->second;
  const auto tenant = store_.tenants().find(id);
  // Of a removed tenant the id is all that is left.
  return known_[id] = tenant ? tenant->name : id;
}

}  // namespace cloister::api
