// Builds and releases.
//
// Threads: any; each call takes the store's lock. Failures: Refusal for what the caller did, StoreError for the rest.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "controlplane/model/model.h"
#include "controlplane/store/environments.h"
#include "controlplane/store/page.h"

namespace cloister::store {

class Store;

class Builds {
 public:
  explicit Builds(Store& store) : store_(store) {}
  // Takes all fields but id, state and createdAt from `build`; reconcile::Deployments::deploy is the caller.
  model::Build create(model::Build build, const std::string& createdBy);
  [[nodiscard]] std::string createdBy(const std::string& id) const;  // token id
  [[nodiscard]] std::optional<model::Build> find(const std::string& id) const;
  [[nodiscard]] model::Build get(const std::string& id) const;                                          // or NotFound
  [[nodiscard]] std::vector<model::Build> list(const std::string& appId, const Page& page = {}) const;  // newest first
  [[nodiscard]] std::vector<model::Build> unfinished() const;  // queued or running, oldest first
  // Those of its app that succeeded with the same inputs and whose image a release has, newest first.
  [[nodiscard]] std::vector<model::Build> alike(const model::Build& build) const;
  void update(const model::Build& build);  // state, failure, slugDigest, nodeId, address, finishedAt, reused, layers

  // Deletes the rows of ended builds beyond the newest `most`, but not those that a kept image comes from.
  void forget(const std::string& appId, std::int64_t most);

 private:
  Store& store_;
};

// A release that has its image.
struct ReleaseImage {
  std::string appId;
  std::int64_t version = 0;
  std::vector<std::string> digests;  // slug and layers, topmost first; not the base
};

class Releases {
 public:
  explicit Releases(Store& store) : store_(store) {}
  // Gives the app's next version; `secrets` belong to it from now on.
  model::Release create(model::Release release, const std::map<std::string, Secret>& secrets);
  void setState(const std::string& appId, std::int64_t version, model::ReleaseState state);
  // Without reading the rest; `refused` for one that is not there.
  [[nodiscard]] model::ReleaseState state(const std::string& appId, std::int64_t version) const;
  [[nodiscard]] std::optional<model::Release> find(const std::string& appId, std::int64_t version) const;
  [[nodiscard]] model::Release get(const std::string& appId, std::int64_t version) const;  // or NotFound
  // Newest first; Page::after is the version as decimal text.
  [[nodiscard]] std::vector<model::Release> list(const std::string& appId, const Page& page = {}) const;
  // Of all apps of the tenant, newest first.
  [[nodiscard]] std::vector<ReleaseImage> images(const std::string& tenantId) const;
  void dropImage(const std::string& appId, std::int64_t version);
  // Deletes the rows of releases without an image beyond the newest `most` releases.
  void forget(const std::string& appId, std::int64_t most);
  // Every digest that a release with its image or an unfinished build needs: the blobs that must not be removed.
  [[nodiscard]] std::vector<std::string> digestsInUse() const;

 private:
  Store& store_;
};

}  // namespace cloister::store
