// CallProfiles: each app's own list of system calls, and what is done with it.
//
// An app without a row has CallMode::off. Calls are numbers of x86_64.
// Threads: any; each call takes the store's lock. Failures: StoreError.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "controlplane/model/model.h"

namespace cloister::store {

class Store;

class CallProfiles {
 public:
  explicit CallProfiles(Store& store) : store_(store) {}
  [[nodiscard]] model::CallProfile get(const std::string& appId) const;
  void set(const std::string& appId, const model::CallProfile& profile);

  // Ascending.
  [[nodiscard]] std::vector<model::SeenCall> calls(const std::string& appId) const;
  // Adds what is known of it: what is true already stays so, but that what is learned or named is flagged no more.
  void add(const std::string& appId, const model::SeenCall& call);
  void forget(const std::string& appId, std::uint32_t number);
  void forgetAll(const std::string& appId);

 private:
  Store& store_;
};

}  // namespace cloister::store
