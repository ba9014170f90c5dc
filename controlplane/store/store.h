// Store: everything that the control plane knows, in one SQLite database.
//
//   $STATE/cloisterd/
//   ├── cloister.db     (+ -wal, -shm)
//   └── secret.key      32 random bytes, mode 0600: the key of all secrets; made on first use, refused when others can
//   read it
//
// Two counters tell others what happened. `revision` (durable, monotonic) moves with every transaction that changes
// what a node should do; nodes poll for it. `changes` (since the start, in memory) moves with every commit that wrote
// something; control loops and event streams wait for it.
//
//   store.transact([&] { store.tenants().setState(id, ...); store.bumpRevision(); });    // all or nothing; nests
//
// Threads: any. One connection, one recursive lock: a transaction holds the lock until it ends, so keep it short.
// Failures: Refusal (errors.h) for what the caller did, StoreError for the database; a transaction that throws leaves
// nothing.
#pragma once

#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <type_traits>

#include "controlplane/store/access.h"
#include "controlplane/store/apps.h"
#include "controlplane/store/billing.h"
#include "controlplane/store/call_profiles.h"
#include "controlplane/store/environments.h"
#include "controlplane/store/errors.h"
#include "controlplane/store/images.h"
#include "controlplane/store/instances.h"
#include "controlplane/store/operations.h"
#include "controlplane/store/releases.h"
#include "controlplane/store/sqlite.h"
#include "controlplane/store/tenancy.h"

namespace cloister::store {

// Microseconds since the epoch.
[[nodiscard]] model::Micros now();
// prefix + time + chance: ids sort by the time they were made. At most 22 characters, [a-z0-9-].
[[nodiscard]] std::string newId(const char* prefix);
// Lower-case hexadecimal SHA-256.
[[nodiscard]] std::string sha256(std::string_view bytes);

class Store {
 public:
  struct Options {
    std::string database;  // path, or ":memory:"
    std::string keyFile;   // empty: a key of this process only (tests)
  };
  // Opens or creates, migrates, reads the key. The whole database is checked (quick_check) before it is trusted.
  explicit Store(const Options& options);
  ~Store();
  Store(const Store&) = delete;
  Store& operator=(const Store&) = delete;

  // Runs `body` in one transaction; inside another one it joins that. Wakes waiters after the outermost commit.
  template <typename F>
  auto transact(F&& body) -> std::invoke_result_t<F> {
    Scope scope(*this);
    if constexpr (std::is_void_v<std::invoke_result_t<F>>) {
      body();
      scope.commit();
    } else {
      auto result = body();
      scope.commit();
      return result;
    }
  }

  [[nodiscard]] std::int64_t revision() const;
  // Something that a node should do has changed; counts once a transaction. Returns the revision that the commit gives.
  std::int64_t bumpRevision();
  // Returns as soon as revision() > after, or when the time is over or wakeAll() was called; gives revision().
  std::int64_t waitRevision(std::int64_t after, std::chrono::milliseconds timeout) const;

  [[nodiscard]] std::uint64_t changes() const;
  std::uint64_t waitChange(std::uint64_t after, std::chrono::milliseconds timeout) const;
  // Ends all waits now and for good: before a shutdown.
  void wakeAll();

  [[nodiscard]] Plans plans() { return Plans(*this); }
  [[nodiscard]] Tenants tenants() { return Tenants(*this); }
  [[nodiscard]] Apps apps() { return Apps(*this); }
  [[nodiscard]] LedgerOutbox ledgerOutbox() { return LedgerOutbox(*this); }
  [[nodiscard]] Throttles throttles() { return Throttles(*this); }
  [[nodiscard]] Alerts alerts() { return Alerts(*this); }
  [[nodiscard]] CallProfiles callProfiles() { return CallProfiles(*this); }
  [[nodiscard]] Environments environments() { return Environments(*this); }
  [[nodiscard]] Domains domains() { return Domains(*this); }
  [[nodiscard]] Builds builds() { return Builds(*this); }
  [[nodiscard]] Releases releases() { return Releases(*this); }
  [[nodiscard]] Images images() { return Images(*this); }
  [[nodiscard]] BuildLayers buildLayers() { return BuildLayers(*this); }
  [[nodiscard]] Instances instances() { return Instances(*this); }
  [[nodiscard]] Addresses addresses() { return Addresses(*this); }
  [[nodiscard]] Nodes nodes() { return Nodes(*this); }
  [[nodiscard]] Operations operations() { return Operations(*this); }
  [[nodiscard]] Rollouts rollouts() { return Rollouts(*this); }
  [[nodiscard]] Tokens tokens() { return Tokens(*this); }
  [[nodiscard]] Audit audit() { return Audit(*this); }
  [[nodiscard]] Events events() { return Events(*this); }
  [[nodiscard]] IdempotencyKeys idempotencyKeys() { return IdempotencyKeys(*this); }

  // For the repositories: the connection under the lock, and the box of secrets.
  [[nodiscard]] std::unique_lock<std::recursive_mutex> lock() const { return std::unique_lock(mutex_); }
  [[nodiscard]] Database& database() { return database_; }
  [[nodiscard]] std::string seal(const std::string& plain) const;     // hexadecimal nonce and box
  [[nodiscard]] std::string unseal(const std::string& sealed) const;  // StoreError when it was tampered with

 private:
  class Scope {
   public:
    explicit Scope(Store& store);
    ~Scope();
    Scope(const Scope&) = delete;
    Scope& operator=(const Scope&) = delete;
    void commit();

   private:
    Store& store_;
    std::unique_lock<std::recursive_mutex> lock_;
    std::optional<Transaction> transaction_;  // in the outermost scope only
    std::int64_t before_ = 0;
    bool committed_ = false;
  };

  mutable std::recursive_mutex mutex_;
  Database database_;
  std::string key_;
  bool inScope_ = false;
  bool bumped_ = false;
  std::int64_t pendingRevision_ = 0;

  mutable std::mutex waitMutex_;
  mutable std::condition_variable waiters_;
  std::int64_t revision_ = 0;
  std::uint64_t changes_ = 0;
  bool closing_ = false;
};

}  // namespace cloister::store
