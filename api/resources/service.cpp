#include <Poco/JSON/Array.h>

#include "api/openapi_document.h"
#include "api/representation.h"
#include "api/resources/resources.h"

namespace cloister::api {
namespace {

Answer status(const std::string& word) {
  auto out = newObject();
  out->set("status", word);
  return answerWith(out);
}

Answer whoami(const Services& services, const Request& request) {
  auto out = newObject();
  auto token = newObject();
  token->set("id", request.caller->id);
  token->set("name", request.caller->name);
  out->set("token", token);
  out->set("scope", std::string(model::name(request.caller->scope)));
  if (request.caller->scope == model::Scope::tenant) out->set("tenant", request.tenant->name);
  out->set("apps_domain", services.config.appsDomain);
  out->set("version", std::string(CLOISTER_VERSION));
  return answerWith(out);
}

Answer posture(const Services& services) {
  Poco::JSON::Array::Ptr checks = new Poco::JSON::Array;
  for (const auto& node : services.store.nodes().list()) {
    for (const auto& check : node.posture) checks->add(represent(check, node.name));
  }
  auto out = newObject();
  out->set("checks", checks);
  return answerWith(out);
}

}  // namespace

void addService(Router& router, const Services& services) {
  router.add("GET", "/healthz", Access::open, [](Request&) { return status("ok"); });
  router.add("GET", "/readyz", Access::open, [services](Request&) {
    (void)services.store.plans().find("ready");  // throws when the database does not answer
    return status("ready");
  });
  router.add("GET", "/openapi.json", Access::open, [](Request&) {
    Answer answer;
    answer.body = std::string(openapiDocument());
    return answer;
  });
  router.add("GET", "/v1/whoami", Access::any, [services](Request& request) { return whoami(services, request); });
  router.add("GET", "/v1/posture", Access::any, [services](Request&) { return posture(services); });
}

}  // namespace cloister::api
