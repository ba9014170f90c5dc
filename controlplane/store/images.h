// Images: how many bytes the images and layers take that a tenant's releases have. Which release has which is in
// `releases`. BuildLayers: those that its next builds may begin with.
//
// What they take is on the bill: with each change of a tenant's sum, and once an hour, the bytes that lay there since
// the last time go to the ledger's outbox, in the transaction of the change.
//
// Threads: any; each call takes the store's lock. Failures: StoreError.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "controlplane/model/model.h"

namespace cloister::store {

class Store;

class Images {
 public:
  explicit Images(Store& store) : store_(store) {}
  void set(const std::string& tenantId, const std::string& digest, std::uint64_t bytes);
  [[nodiscard]] std::map<std::string, std::uint64_t> of(const std::string& tenantId) const;
  void erase(const std::string& tenantId, const std::string& digest);
  // The tenant's bytes until now go to the outbox.
  void account(const std::string& tenantId);
  // Those of all tenants that were last accounted before `moment`.
  void accountAll(model::Micros moment);

 private:
  Store& store_;
};

// Layers that steps of an app's builds left, by what the steps were made of: base, environment, commands and files, and
// all that of the steps before.
class BuildLayers {
 public:
  struct Layer {
    std::string inputs;
    std::string digest;
  };
  explicit BuildLayers(Store& store) : store_(store) {}
  // One key for each step of the build.
  [[nodiscard]] static std::vector<std::string> inputsOf(const model::Build& build);
  // Those of its first steps that are there, in the steps' order.
  [[nodiscard]] std::vector<std::string> find(const model::Build& build) const;
  // Used last first.
  [[nodiscard]] std::vector<Layer> of(const std::string& appId) const;
  // Used now; new, or in the place of another.
  void put(const std::string& appId, const Layer& layer);
  void erase(const std::string& appId, const std::string& inputs);

 private:
  Store& store_;
};

}  // namespace cloister::store
