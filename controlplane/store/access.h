// Who may: tokens (stored as SHA-256), the audit trail, idempotency keys; and the events that owners read.
//
// Threads: any; each call takes the store's lock. Failures: Refusal for what the caller did, StoreError for the rest.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "controlplane/model/model.h"
#include "controlplane/store/page.h"

namespace cloister::store {

class Store;

struct NewToken {
  model::Token token;
  std::string secret;  // "clst_" + 40 base62; shown once, not stored
};

class Tokens {
 public:
  explicit Tokens(Store& store) : store_(store) {}
  // `tenantId` for Scope::tenant only.
  NewToken create(const std::string& name, model::Scope scope, const std::string& tenantId = {});
  // Records a secret that exists already (the admin's and the node's token files); the same secret twice is one token.
  model::Token adopt(const std::string& name, model::Scope scope, const std::string& secret);
  // The live token of that secret, and notes its use (at most once a minute).
  [[nodiscard]] std::optional<model::Token> authenticate(const std::string& secret);
  [[nodiscard]] std::vector<model::Token> list(const std::string& tenantId,
                                               const Page& page = {}) const;  // empty: all; by id
  [[nodiscard]] model::Token get(const std::string& id) const;                // or NotFound
  void revoke(const std::string& id);                                         // or NotFound

 private:
  Store& store_;
};

class Audit {
 public:
  explicit Audit(Store& store) : store_(store) {}
  void append(model::AuditEntry entry);  // gives id and, when zero, the time
  // Newest first; empty tenant: all. Page::after is an id as decimal text.
  [[nodiscard]] std::vector<model::AuditEntry> list(const std::string& tenantId, const Page& page = {}) const;

 private:
  Store& store_;
};

class Events {
 public:
  explicit Events(Store& store) : store_(store) {}
  void append(const std::string& tenantId, const std::string& app, const std::string& kind, const std::string& text);
  // With id > after, oldest first; empty tenant or app: all. Store::waitChange tells when to look again.
  [[nodiscard]] std::vector<model::Event> since(std::int64_t after, const std::string& tenantId, const std::string& app,
                                                std::size_t limit = 1000) const;
  [[nodiscard]] std::int64_t lastId() const;
  // Newest first. Page::after is an id as decimal text.
  [[nodiscard]] std::vector<model::Event> list(const std::string& tenantId, const std::string& app,
                                               const Page& page = {}) const;
  void dropBefore(model::Micros time);

 private:
  Store& store_;
};

struct StoredResponse {
  int status = 0;
  std::string body;
};

// Idempotency-Key, as Stripe does it: the first request of a key runs, a repetition gets its response, another request
// with the same key is refused.
class IdempotencyKeys {
 public:
  explicit IdempotencyKeys(Store& store) : store_(store) {}
  // nullopt: it is new and reserved, run it. Conflict "idempotency_key_reused" for another fingerprint, Conflict
  // "idempotency_in_progress" while the first one runs.
  std::optional<StoredResponse> begin(const std::string& tokenId, const std::string& key,
                                      const std::string& fingerprint);
  void finish(const std::string& tokenId, const std::string& key, const StoredResponse& response);
  void abandon(const std::string& tokenId, const std::string& key);  // it may be tried again (5xx)
  void abandonAll();                                                 // those of a process that is no more
  void dropBefore(model::Micros time);

 private:
  Store& store_;
};

}  // namespace cloister::store
