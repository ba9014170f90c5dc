// Apps with their formation, and their domains.
//
// Threads: any; each call takes the store's lock. Failures: Refusal for what the caller did, StoreError for the rest.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "controlplane/model/model.h"
#include "controlplane/store/page.h"

namespace cloister::store {

class Store;

class Apps {
 public:
  explicit Apps(Store& store) : store_(store) {}
  // Formation web = 1. Invalid (name), QuotaExceeded (apps), Conflict "name_taken", Conflict "tenant_not_active".
  model::App create(const std::string& tenantId, const std::string& name);
  [[nodiscard]] std::optional<model::App> find(const std::string& tenantId, const std::string& name) const;
  [[nodiscard]] model::App get(const std::string& tenantId, const std::string& name) const;              // or NotFound
  [[nodiscard]] model::App byId(const std::string& id) const;                                            // or NotFound
  [[nodiscard]] std::vector<model::App> list(const std::string& tenantId, const Page& page = {}) const;  // by name
  [[nodiscard]] std::vector<model::App> all() const;
  void setFormation(const std::string& id, const std::map<std::string, std::int64_t>& formation);
  void setCurrentRelease(const std::string& id, std::int64_t version);
  // An app that is being removed is still listed, until its last instance has stopped.
  void markRemoving(const std::string& id);
  [[nodiscard]] bool removing(const std::string& id) const;
  void erase(const std::string& id);

 private:
  Store& store_;
};

class Domains {
 public:
  explicit Domains(Store& store) : store_(store) {}
  // `host` is lower-cased. Invalid (no host name), Conflict "domain_taken".
  model::Domain add(const std::string& host, const std::string& appId);
  [[nodiscard]] std::vector<model::Domain> list(const std::string& appId) const;
  [[nodiscard]] std::vector<model::Domain> all() const;
  void remove(const std::string& appId, const std::string& host);  // or NotFound

 private:
  Store& store_;
};

}  // namespace cloister::store
