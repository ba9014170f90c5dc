#include "controlplane/reconcile/call_profiles.h"

#include <algorithm>
#include <utility>

#include "policy/model/call_profile.h"

namespace cloister::reconcile {
namespace {

using launcher::Confinement;
using model::CallMode;

std::string nameOf(std::uint32_t number) {
  const auto name = policy::callName(number);
  return name.empty() ? "call " + std::to_string(number) : std::string(name);
}

}  // namespace

CallMode modeNow(const model::CallProfile& profile) {
  const bool over = profile.mode == CallMode::learn && store::now() >= profile.learnUntil;
  return over ? CallMode::grace : profile.mode;
}

CallSet listedCalls(const model::CallProfile& profile, const std::vector<model::SeenCall>& seen) {
  CallSet calls;
  for (const auto& call : seen) {
    const bool listed = call.byApp || call.byName || (call.byBuild && profile.builds);
    if (listed && call.number < kMostCalls) calls.set(call.number);
  }
  return calls & policy::classCalls(Confinement::app);
}

model::CallList appCallList(store::Store& store, const std::string& appId) {
  const auto profile = store.callProfiles().get(appId);
  if (profile.mode == CallMode::off) return {};
  const auto others = profile.mode == CallMode::enforce ? model::OtherCalls::refuse : model::OtherCalls::report;
  return {others, numbersOf(listedCalls(profile, store.callProfiles().calls(appId)))};
}

model::CallList buildCallList(store::Store& store, const std::string& appId) {
  if (modeNow(store.callProfiles().get(appId)) != CallMode::learn) return {};
  CallSet known;
  for (const auto& call : store.callProfiles().calls(appId)) {
    if (call.byBuild && call.number < kMostCalls) known.set(call.number);
  }
  return {model::OtherCalls::report, numbersOf(known)};
}

void takeCalls(store::Store& store, const model::App& app, Caller caller, const std::vector<std::uint32_t>& calls) {
  if (calls.empty()) return;
  auto profile = store.callProfiles().get(app.id);
  const CallMode mode = modeNow(profile);
  if (mode == CallMode::off) return;
  if (mode != profile.mode) {  // written down with the first report after its end
    profile.mode = mode;
    store.callProfiles().set(app.id, profile);
    store.events().append(app.tenantId, app.name, "profile.learned", "learning has ended; what is new is flagged now");
  }
  const bool learning = mode == CallMode::learn;
  if (caller == Caller::build && !learning) return;
  const auto seen = store.callProfiles().calls(app.id);
  const CallSet listed = listedCalls(profile, seen);
  const auto confinement = caller == Caller::app ? Confinement::app : Confinement::build;
  for (const auto number : calls) {
    if (number >= kMostCalls || !policy::classCalls(confinement).test(number)) continue;
    const auto known = std::find_if(seen.begin(), seen.end(), [&](const auto& call) { return call.number == number; });
    model::SeenCall call = known != seen.end() ? *known : model::SeenCall{number};
    // An instance that learned goes on reporting what is listed by now.
    if (!learning && listed.test(number)) continue;
    bool& news = !learning ? call.flagged : caller == Caller::app ? call.byApp : call.byBuild;
    if (std::exchange(news, true)) continue;
    store.callProfiles().add(app.id, call);
    if (learning) continue;
    const bool refused = mode == CallMode::enforce;
    store.events().append(app.tenantId, app.name, refused ? "profile.refused" : "profile.flagged",
                          nameOf(number) + (refused ? ": not in the app's list, refused"
                                                    : ": not in the app's list, and would be refused"));
  }
}

}  // namespace cloister::reconcile
