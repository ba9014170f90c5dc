// Retention: which releases keep their image, and what of a tenant's image disk that takes.
//
// A release that serves, is being rolled out or is what a rollout falls back on always keeps it. Of the others the plan
// keeps the newest: so many of each app, and as far as they fit into the tenant's image disk beside the first. What is
// dropped stays dropped, and its history with it for a while; its bytes go when no other release has them. So a
// tenant's images never take more than the plan says, however often it deploys.
// Layers for the next builds take what is left; those used longest ago go first.
// Threads: any; each call is one transaction. Failures: store::QuotaExceeded, store::StoreError.
#pragma once

#include <cstdint>
#include <map>
#include <string>

#include "controlplane/store/store.h"

namespace cloister::reconcile {

struct ImageUse {
  std::uint64_t needed = 0;  // bytes of images that cannot be dropped
  std::uint64_t kept = 0;    // these and what the plan keeps beside them
};

// Drops what the plan does not keep.
ImageUse retain(store::Store& store, const model::Tenant& tenant);
// The same for every tenant.
void retainAll(store::Store& store);

// QuotaExceeded when there is no room for an image as large as the app's last one beside those that are needed.
void checkImageDisk(store::Store& store, const model::Tenant& tenant, const std::string& appId);
// The same for a slug and layers that are there; they are the tenant's from now on.
void admitImages(store::Store& store, const model::Tenant& tenant, const std::map<std::string, std::uint64_t>& images);

// Conflict "image_dropped" when there is only the release's history left.
void requireImage(store::Store& store, const model::Tenant& tenant, const model::Release& release);

}  // namespace cloister::reconcile
