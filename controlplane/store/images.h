// Images: how many bytes the images take that a tenant's releases have. Which release has which is in `releases`.
//
// Threads: any; each call takes the store's lock. Failures: StoreError.
#pragma once

#include <cstdint>
#include <map>
#include <string>

namespace cloister::store {

class Store;

class Images {
 public:
  explicit Images(Store& store) : store_(store) {}
  void set(const std::string& tenantId, const std::string& digest, std::uint64_t bytes);
  [[nodiscard]] std::map<std::string, std::uint64_t> of(const std::string& tenantId) const;
  void erase(const std::string& tenantId, const std::string& digest);

 private:
  Store& store_;
};

}  // namespace cloister::store
