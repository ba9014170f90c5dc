// The environment of an app: its config in the open and its secrets sealed, as versions.
//
// Each release has its own, which never changes and goes when the release goes. Version 0 is what an app was given
// before its first release; a release that took it over leaves nothing there.
//
//   auto environment = store.environments().get(app.id, app.currentRelease);
//   environment.secrets["KEY"] = store.environments().seal("value");
//
// Secrets are encrypted with libsodium's secretbox under the store's key; only values() and opened() decrypt.
// Threads: any; each call takes the store's lock. Failures: Refusal for what the caller did, StoreError for the rest.
#pragma once

#include <cstdint>
#include <map>
#include <string>

#include "controlplane/model/model.h"

namespace cloister::store {

class Store;

struct Secret {
  std::string sealed;
  model::Micros updatedAt = 0;
  friend bool operator==(const Secret&, const Secret&) = default;
};

struct Environment {
  std::map<std::string, std::string> config;
  std::map<std::string, Secret> secrets;
  friend bool operator==(const Environment&, const Environment&) = default;
};

class Environments {
 public:
  explicit Environments(Store& store) : store_(store) {}
  [[nodiscard]] Environment get(const std::string& appId, std::int64_t version) const;  // or NotFound
  // Config and secrets together and in the clear: what a process gets.
  [[nodiscard]] std::map<std::string, std::string> values(const std::string& appId, std::int64_t version) const;
  // Of an app without a release; for that of a release see Releases::create.
  void setInitial(const std::string& appId, const Environment& environment);
  [[nodiscard]] Secret seal(const std::string& value) const;
  [[nodiscard]] std::string opened(const Secret& secret) const;

 private:
  Store& store_;
};

}  // namespace cloister::store
