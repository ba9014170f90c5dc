#include "controlplane/reconcile/likeness.h"

#include <string>
#include <tuple>

#include "controlplane/store/store.h"

namespace cloister::reconcile {
namespace {

auto whatRuns(const model::Release& release) {
  const auto& manifest = release.manifest;
  return std::tie(release.baseDigest, release.slugDigest, release.layers, manifest.processes, manifest.healthPath,
                  manifest.memoryBytes, manifest.cpuMillis, manifest.diskBytes, manifest.pids, manifest.immutable,
                  manifest.writable);
}

}  // namespace

bool runAlike(store::Store& store, const model::Release& left, const model::Release& right) {
  return whatRuns(left) == whatRuns(right) &&
         store.environments().get(left.appId, left.version) == store.environments().get(right.appId, right.version);
}

bool isProven(store::Store& store, const model::Release& release) {
  // Refused ones may lie between; of a long row of those the release settles like any other.
  for (const auto& before : store.releases().list(release.appId, {std::to_string(release.version), 10})) {
    if (before.state == model::ReleaseState::released) return runAlike(store, before, release);
  }
  return false;
}

}  // namespace cloister::reconcile
