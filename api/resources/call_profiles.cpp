#include <Poco/JSON/Array.h>
#include <sys/socket.h>

#include <map>
#include <set>
#include <string>
#include <vector>

#include "api/body.h"
#include "api/problem.h"
#include "api/representation.h"
#include "api/resources/resources.h"
#include "controlplane/reconcile/call_profiles.h"
#include "policy/model/call_profile.h"
#include "policy/model/capabilities.h"
#include "policy/model/seccomp.h"

namespace cloister::api {
namespace {

using launcher::Confinement;
using model::CallMode;

Poco::JSON::Array::Ptr names(const CallSet& calls) {
  std::set<std::string> sorted;
  for (const auto number : numbersOf(calls)) sorted.emplace(policy::callName(number));
  Poco::JSON::Array::Ptr out = new Poco::JSON::Array;
  for (const auto& name : sorted) out->add(name);
  return out;
}

// What the app reaches: of its class's calls those of its list and the floor, while something is refused at all.
struct Surface {
  CallMode mode = CallMode::off;
  CallSet open;
  CallSet used;  // seen, or part of every start
};

Surface surfaceOf(const model::CallProfile& profile, const std::vector<model::SeenCall>& seen) {
  const auto& all = policy::classCalls(Confinement::app);
  Surface surface;
  surface.mode = reconcile::modeNow(profile);
  surface.open = all;
  if (surface.mode == CallMode::enforce) {
    surface.open = (reconcile::listedCalls(profile, seen) | policy::floorCalls()) & all;
  }
  for (const auto& call : seen) {
    if (call.number < kMostCalls && (call.byApp || call.flagged)) surface.used.set(call.number);
  }
  if (surface.used.any()) surface.used = (surface.used | policy::floorCalls()) & all;
  return surface;
}

Json showCall(const model::SeenCall& call, const CallSet& listed) {
  auto out = newObject();
  Poco::JSON::Array::Ptr seen = new Poco::JSON::Array;
  if (call.byApp) seen->add("app");
  if (call.byBuild) seen->add("build");
  if (call.byName) seen->add("name");
  if (call.flagged) seen->add("flagged");
  out->set("name", std::string(policy::callName(call.number)));
  out->set("number", call.number);
  out->set("listed", call.number < kMostCalls && listed.test(call.number));
  out->set("seen", seen);
  out->set("first_at", formatTime(call.firstAt));
  return out;
}

Answer showProfile(const Services& services, const model::App& app) {
  const auto profile = services.store.callProfiles().get(app.id);
  const auto seen = services.store.callProfiles().calls(app.id);
  const auto listed = reconcile::listedCalls(profile, seen);
  const auto surface = surfaceOf(profile, seen);
  Poco::JSON::Array::Ptr calls = new Poco::JSON::Array;
  std::int64_t flagged = 0;
  for (const auto& call : seen) {
    calls->add(showCall(call, listed));
    flagged += call.flagged ? 1 : 0;
  }
  auto out = newObject();
  out->set("app", app.name);
  out->set("mode", std::string(model::name(surface.mode)));
  if (surface.mode == CallMode::learn) out->set("learn_until", formatTime(profile.learnUntil));
  out->set("builds", profile.builds);
  out->set("listed", listed.count());
  out->set("flagged", flagged);
  out->set("open", surface.open.count());
  out->set("class", policy::classCalls(Confinement::app).count());
  out->set("floor", names(policy::floorCalls()));
  out->set("calls", calls);
  return answerWith(out);
}

Poco::JSON::Array::Ptr socketFamilies() {
  const std::map<std::uint32_t, std::string> known = {{AF_UNIX, "unix"}, {AF_INET, "inet"}, {AF_INET6, "inet6"}};
  std::set<std::uint32_t> families;
  for (const auto& rule : policy::profileFor(Confinement::app).rules) {
    if (rule.call != "socket" || rule.denyErrno != 0) continue;
    for (const auto& test : rule.tests) {
      if (test.argument == 0) families.insert(test.value);
    }
  }
  Poco::JSON::Array::Ptr out = new Poco::JSON::Array;
  for (const auto family : families) {
    const auto name = known.find(family);
    out->add(name != known.end() ? name->second : std::to_string(family));
  }
  return out;
}

Answer showPosture(const Services& services, const model::App& app) {
  std::set<std::string> nodes;
  for (const auto& record : services.store.instances().ofApp(app.id)) nodes.insert(record.instance.nodeId);
  Poco::JSON::Array::Ptr checks = new Poco::JSON::Array;
  for (const auto& node : services.store.nodes().list()) {
    if (!nodes.contains(node.id)) continue;
    for (const auto& check : node.posture) checks->add(represent(check, node.name));
  }
  const auto surface =
      surfaceOf(services.store.callProfiles().get(app.id), services.store.callProfiles().calls(app.id));
  auto calls = newObject();
  calls->set("mode", std::string(model::name(surface.mode)));
  calls->set("class", policy::classCalls(Confinement::app).count());
  calls->set("open", surface.open.count());
  if (surface.used.any()) calls->set("used", surface.used.count());
  auto out = newObject();
  out->set("app", app.name);
  out->set("calls", calls);
  out->set("capabilities", policy::capabilitiesOf(Confinement::app).size());
  out->set("socket_families", socketFamilies());
  out->set("checks", checks);
  return answerWith(out);
}

CallMode modeOf(const std::string& text) {
  const auto mode = model::callMode(text);
  if (!mode) throw invalidField("mode", "must be off, learn, grace or enforce");
  return *mode;
}

}  // namespace

void addCallProfiles(Router& router, const Services& services) {
  const std::string path = "/v1/apps/{app}/profile";
  router.add("GET", path, Access::tenant,
             [services](Request& request) { return showProfile(services, appOf(services, request)); });
  router.add("PATCH", path, Access::tenant, [services](Request& request) {
    const auto app = appOf(services, request);
    request.requireMatch(app.revision);
    Body body(request.body);
    reconcile::Deployments::ProfileChange change;
    if (const auto mode = body.optionalText("mode")) change.mode = modeOf(*mode);
    change.learnSeconds = body.optionalInteger("learn_seconds");
    change.builds = body.optionalBoolean("builds");
    change.anew = body.optionalBoolean("anew").value_or(false);
    change.allow = body.optionalTexts("allow");
    change.forget = body.optionalTexts("forget");
    body.finish();
    return accepted(services.deployments.setCallProfile(app.id, change, request.caller->id));
  });
  router.add("GET", "/v1/apps/{app}/posture", Access::tenant,
             [services](Request& request) { return showPosture(services, appOf(services, request)); });
}

}  // namespace cloister::api
