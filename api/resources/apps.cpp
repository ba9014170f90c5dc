#include <Poco/String.h>
#include <Poco/URI.h>

#include <numeric>

#include "api/body.h"
#include "api/problem.h"
#include "api/representation.h"
#include "api/resources/resources.h"
#include "controlplane/edge/domain_names.h"
#include "controlplane/reconcile/node_work.h"
#include "controlplane/store/quotas.h"

namespace cloister::api {
namespace {

std::vector<model::Instance> instancesOf(const std::vector<store::InstanceRecord>& records, const std::string& appId) {
  std::vector<model::Instance> out;
  for (const auto& record : records) {
    if (record.kind == store::InstanceKind::service && record.instance.appId == appId) out.push_back(record.instance);
  }
  return out;
}

std::int64_t wantedOf(const Services& services, const model::App& app) {
  const auto release = services.store.releases().find(app.id, app.currentRelease);
  if (!release) return 0;
  return std::accumulate(app.formation.begin(), app.formation.end(), std::int64_t{0},
                         [&](std::int64_t sum, const auto& entry) {
                           return sum + (release->manifest.processes.contains(entry.first) ? entry.second : 0);
                         });
}

Json show(const Services& services, const model::Tenant& tenant, const model::App& app,
          const std::vector<store::InstanceRecord>& records) {
  auto out = newObject();
  out->set("id", app.id);
  out->set("name", app.name);
  out->set("tenant", tenant.name);
  out->set("url", urlOf(reconcile::hostOf(app.name, tenant.name, services.config.appsDomain), services.config.edgeUrl));
  out->set("release", app.currentRelease);
  const auto status = services.store.apps().removing(app.id)
                          ? std::string("removing")
                          : appStatus(app, tenant, wantedOf(services, app), instancesOf(records, app.id));
  out->set("status", status);
  out->set("formation", represent(app.formation));
  out->set("created_at", formatTime(app.createdAt));
  out->set("revision", app.revision);
  return out;
}

Answer showOne(const Services& services, const Request& request, const model::App& app, int status = 200) {
  Answer answer = answerWith(show(services, *request.tenant, app, services.store.instances().ofApp(app.id)), status);
  answer.headers["ETag"] = etag(app.revision);
  return answer;
}

Answer withEtag(const Json& object, const model::App& app) {
  Answer answer = answerWith(object);
  answer.headers["ETag"] = etag(app.revision);
  return answer;
}

// What a PATCH or DELETE of an app works on, when the caller still means this revision.
model::App matchedApp(const Services& services, const Request& request) {
  auto app = appOf(services, request);
  request.requireMatch(app.revision);
  return app;
}

reconcile::Deployments::Changes changesOf(const Request& request) {
  auto changes = Body(request.body).texts();
  if (changes.empty()) throw Problem(400, "missing_field", "the body names no variable");
  return changes;
}

Json show(const Services& services, const model::Domain& domain, const std::string& app) {
  auto out = newObject();
  out->set("host", domain.host);
  out->set("app", app);
  out->set("url", urlOf(domain.host, services.config.edgeUrl));
  return out;
}

void addFormation(Router& router, const Services& services) {
  const std::string path = "/v1/apps/{app}/formation";
  router.add("GET", path, Access::tenant, [services](Request& request) {
    const auto app = appOf(services, request);
    return withEtag(represent(app.formation), app);
  });
  router.add("PATCH", path, Access::tenant, [services](Request& request) {
    const auto app = matchedApp(services, request);
    const auto changes = Body(request.body).integers();
    if (changes.empty()) throw Problem(400, "missing_field", "the body names no process");
    return accepted(services.deployments.scale(app.id, changes));
  });
}

void addConfig(Router& router, const Services& services) {
  router.add("GET", "/v1/apps/{app}/config", Access::tenant, [services](Request& request) {
    const auto app = appOf(services, request);
    return withEtag(represent(services.store.environments().get(app.id, app.currentRelease).config), app);
  });
  router.add("PATCH", "/v1/apps/{app}/config", Access::tenant, [services](Request& request) {
    const auto app = matchedApp(services, request);
    return accepted(services.deployments.setConfig(app.id, changesOf(request), request.caller->id));
  });
  router.add("GET", "/v1/apps/{app}/secrets", Access::tenant, [services](Request& request) {
    std::vector<Json> items;
    const auto app = appOf(services, request);
    for (const auto& [name, secret] : services.store.environments().get(app.id, app.currentRelease).secrets) {
      auto item = newObject();
      item->set("name", name);
      item->set("updated_at", formatTime(secret.updatedAt));
      items.push_back(item);
    }
    return answerList(items);
  });
  router.add("PATCH", "/v1/apps/{app}/secrets", Access::tenant, [services](Request& request) {
    const auto app = matchedApp(services, request);
    return accepted(services.deployments.setSecrets(app.id, changesOf(request), request.caller->id));
  });
}

// The platform's own names: the apps', the edge's, the API's.
edge::DomainNames domainNames(const Config& config) {
  const auto& listen = config.listen;
  return edge::DomainNames(
      {config.appsDomain, Poco::URI(config.edgeUrl).getHost(), listen.substr(0, listen.rfind(':'))});
}

void addDomains(Router& router, const Services& services) {
  const auto names = domainNames(services.config);
  router.add("GET", "/v1/apps/{app}/domains", Access::tenant, [services](Request& request) {
    const auto app = appOf(services, request);
    std::vector<Json> items;
    for (const auto& domain : services.store.domains().list(app.id)) items.push_back(show(services, domain, app.name));
    return answerList(items);
  });
  router.add("POST", "/v1/apps/{app}/domains", Access::tenant, [services, names](Request& request) {
    const auto app = appOf(services, request);
    Body body(request.body);
    const auto host = body.text("host");
    body.finish();
    const auto name = Poco::toLower(host);
    if (!names.mayBeAdded(name)) throw store::domainUnavailable(name);
    return answerWith(show(services, services.store.domains().add(name, app.id), app.name), 201);
  });
  router.add("DELETE", "/v1/apps/{app}/domains/{host}", Access::tenant, [services](Request& request) {
    services.store.domains().remove(appOf(services, request).id, request.parameter("host"));
    return Answer{204, "", {}};
  });
}

}  // namespace

void addApps(Router& router, const Services& services) {
  router.add("GET", "/v1/apps", Access::tenant, [services](Request& request) {
    const auto page = pageOf(request);
    const auto records = services.store.instances().ofTenant(request.tenant->id);
    return answerPage(
        page, services.store.apps().list(request.tenant->id, page), [](const model::App& app) { return app.name; },
        [&](const model::App& app) { return show(services, *request.tenant, app, records); });
  });
  router.add("POST", "/v1/apps", Access::tenant, [services](Request& request) {
    Body body(request.body);
    const auto name = body.text("name");
    body.finish();
    Answer answer = showOne(services, request, services.store.apps().create(request.tenant->id, name), 201);
    answer.headers["Location"] = "/v1/apps/" + name;
    return answer;
  });
  router.add("GET", "/v1/apps/{app}", Access::tenant,
             [services](Request& request) { return showOne(services, request, appOf(services, request)); });
  router.add("DELETE", "/v1/apps/{app}", Access::tenant, [services](Request& request) {
    return accepted(services.deployments.removeApp(matchedApp(services, request).id));
  });
  router.add("POST", "/v1/apps/{app}/rollback", Access::tenant, [services](Request& request) {
    const auto app = appOf(services, request);
    Body body(request.body);
    const auto version = body.optionalInteger("version");
    body.finish();
    if (version && !services.store.releases().find(app.id, *version)) {
      throw unacceptable("release_unknown", "version", "no release v" + std::to_string(*version));
    }
    return accepted(services.deployments.rollback(app.id, version, request.caller->id));
  });
  router.add("POST", "/v1/apps/{app}/restart", Access::tenant, [services](Request& request) {
    Body(request.body).finish();
    return accepted(services.deployments.restart(appOf(services, request).id, request.caller->id));
  });
  addFormation(router, services);
  addConfig(router, services);
  addDomains(router, services);
}

}  // namespace cloister::api
