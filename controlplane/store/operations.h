// Operations: what a client waits for, and the rollouts that they stand for.
//
// Threads: any; each call takes the store's lock. Failures: Refusal for what the caller did, StoreError for the rest.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "controlplane/model/model.h"
#include "controlplane/store/page.h"

namespace cloister::store {

class Store;

class Operations {
 public:
  explicit Operations(Store& store) : store_(store) {}
  model::Operation create(const std::string& tenantId, const std::string& kind, const std::string& subject,
                          const std::string& progress);
  [[nodiscard]] std::optional<model::Operation> find(const std::string& id) const;
  [[nodiscard]] model::Operation get(const std::string& id) const;  // or NotFound
  // Newest first, by id; an empty tenant lists all.
  [[nodiscard]] std::vector<model::Operation> list(const std::string& tenantId, const Page& page = {}) const;
  [[nodiscard]] std::map<model::OperationState, std::int64_t> countByState() const;
  void setNotice(const std::string& id, const std::string& notice);
  void setProgress(const std::string& id, const std::string& progress);  // and the state `running`
  // Ended operations stay as they are.
  void succeed(const std::string& id, const std::string& result);
  void fail(const std::string& id, const model::Failure& failure);

 private:
  Store& store_;
};

// An operation that ends when its app has converged. `previousRelease` is what the app goes back to when `release` does
// not come up; equal to `release` when only the formation changed. One with a failure is on its way back: the operation
// fails with it once it was seen what became of the previous release.
struct Rollout {
  std::string operationId;
  std::string appId;
  std::int64_t release = 0;
  std::int64_t previousRelease = 0;
  model::Failure failure{};
  model::Micros failedAt = 0;
};

class Rollouts {
 public:
  explicit Rollouts(Store& store) : store_(store) {}
  void begin(const Rollout& rollout);
  void goBack(const std::string& operationId, const model::Failure& failure, model::Micros at);
  void end(const std::string& operationId);
  [[nodiscard]] std::vector<Rollout> all() const;
  [[nodiscard]] std::vector<Rollout> ofApp(const std::string& appId) const;  // oldest first

 private:
  Store& store_;
};

}  // namespace cloister::store
