// What an app's own list of system calls means for its containers, and what their reports make of it.
//
//   off ──learn──► learn ──its time is over──► grace ──enforce──► enforce        any ──off──► off
//
// Learning takes in whatever is called; after it a call that the list lacks is flagged, with an event the first time.
// The list is what was seen and named, cut to the app's class. A running container keeps the list that it was launched
// with, so a change that must hold now starts the instances anew (Deployments::setCallProfile).
//
// Threads: any. Failures: store::StoreError.
#pragma once

#include <string>
#include <vector>

#include "controlplane/model/node_protocol.h"
#include "controlplane/store/store.h"
#include "sandbox/base/call_set.h"

namespace cloister::reconcile {

// The mode as it is now: learning ends by itself.
[[nodiscard]] model::CallMode modeNow(const model::CallProfile& profile);
// The calls that the app's list has beside the floor.
[[nodiscard]] CallSet listedCalls(const model::CallProfile& profile, const std::vector<model::SeenCall>& seen);
// For the app's instances.
[[nodiscard]] model::CallList appCallList(store::Store& store, const std::string& appId);
// For its builds: they are watched while the app learns, and never refused anything.
[[nodiscard]] model::CallList buildCallList(store::Store& store, const std::string& appId);

enum class Caller { app, build };
// Takes in calls that a container of the app was reported to make. Inside a transaction of the caller's.
void takeCalls(store::Store& store, const model::App& app, Caller caller, const std::vector<std::uint32_t>& calls);

}  // namespace cloister::reconcile
