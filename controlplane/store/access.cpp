#include "controlplane/store/access.h"

#include <sodium.h>

#include <charconv>
#include <limits>

#include "controlplane/store/quotas.h"
#include "controlplane/store/store.h"
#include "sandbox/base/utf8.h"

namespace cloister::store {
namespace {

constexpr model::Micros kUseResolution = 60'000'000;
// Rows are for reading: a path of kilobytes is cut.
constexpr std::size_t kMostAuditText = 512;
constexpr std::size_t kMostEventText = 2048;

model::Token readToken(const Statement& row) {
  model::Token token;
  row.get(0, token.id);
  row.get(1, token.name);
  token.scope = model::scope(row.text(2)).value_or(model::Scope::tenant);
  row.get(3, token.tenantId);
  row.get(4, token.createdAt);
  row.get(5, token.lastUsedAt);
  row.get(6, token.revoked);
  return token;
}

model::Event readEvent(const Statement& row) {
  model::Event event;
  row.get(0, event.id);
  row.get(1, event.at);
  row.get(2, event.tenantId);
  row.get(3, event.app);
  row.get(4, event.kind);
  row.get(5, event.text);
  return event;
}

std::string newSecret() {
  constexpr std::string_view kBase62 = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
  std::string secret = "clst_";
  for (int i = 0; i < 40; ++i) secret += kBase62[randombytes_uniform(62)];
  return secret;
}

std::int64_t idBefore(const std::string& after) {
  if (after.empty()) return std::numeric_limits<std::int64_t>::max();
  std::int64_t id = 0;
  std::from_chars(after.data(), after.data() + after.size(), id);
  return id;
}

std::int64_t nextNumber(Store& store, std::string_view counter) {
  store.database().run("UPDATE counters SET value = value + 1 WHERE name = ?1", counter);
  auto query = store.database().prepare("SELECT value FROM counters WHERE name = ?1");
  query.bind(counter);
  return query.step() ? query.integer(0) : 0;
}

model::Token insertToken(Store& store, const std::string& name, model::Scope scope, const std::string& tenantId,
                         const std::string& secret) {
  if (name.empty() || name.size() > 100) throw Invalid("name", "must have 1 to 100 characters");
  if ((scope == model::Scope::tenant) == tenantId.empty()) throw Invalid("tenant", "belongs to tokens of scope tenant");
  model::Token token;
  token.id = newId("tk");
  token.name = name;
  token.scope = scope;
  token.tenantId = tenantId;
  token.createdAt = now();
  if (tenantId.empty()) {
    store.database().run("INSERT INTO tokens (id, name, scope, hash, created_at) VALUES (?1, ?2, ?3, ?4, ?5)", token.id,
                         name, std::string_view(model::name(scope)), sha256(secret), token.createdAt);
  } else {
    store.database().run(
        "INSERT INTO tokens (id, name, scope, hash, created_at, tenant_id) VALUES (?1, ?2, ?3, ?4, ?5, ?6)", token.id,
        name, std::string_view(model::name(scope)), sha256(secret), token.createdAt, store.tenants().get(tenantId).id);
  }
  return token;
}

}  // namespace

NewToken Tokens::create(const std::string& name, model::Scope scope, const std::string& tenantId) {
  return store_.transact([&] {
    if (scope == model::Scope::tenant) requireRoom(Quotas(store_).tokens(tenantId), 1, "name");
    auto secret = newSecret();
    auto token = insertToken(store_, name, scope, tenantId, secret);
    return NewToken{std::move(token), std::move(secret)};
  });
}

model::Token Tokens::adopt(const std::string& name, model::Scope scope, const std::string& secret) {
  if (secret.size() < 32) throw Invalid("token", "is too short to be a secret");
  return store_.transact([&] {
    auto query = store_.database().prepare(
        "SELECT id, name, scope, tenant_id, created_at, last_used_at, revoked FROM tokens WHERE hash = ?1");
    query.bind(sha256(secret));
    if (query.step()) return readToken(query);
    return insertToken(store_, name, scope, {}, secret);
  });
}

std::optional<model::Token> Tokens::authenticate(const std::string& secret) {
  const auto lock = store_.lock();
  // Looking up the hash leaks nothing by time: who does not know the secret cannot steer its SHA-256.
  auto query = store_.database().prepare(
      "SELECT id, name, scope, tenant_id, created_at, last_used_at, revoked FROM tokens WHERE hash = ?1 AND revoked = "
      "0");
  query.bind(sha256(secret));
  if (!query.step()) return std::nullopt;
  auto token = readToken(query);
  const auto time = now();
  if (time - token.lastUsedAt > kUseResolution) {
    store_.transact(
        [&] { store_.database().run("UPDATE tokens SET last_used_at = ?2 WHERE id = ?1", token.id, time); });
    token.lastUsedAt = time;
  }
  return token;
}

std::vector<model::Token> Tokens::list(const std::string& tenantId, const Page& page) const {
  const auto lock = store_.lock();
  auto query = store_.database().prepare(
      "SELECT id, name, scope, tenant_id, created_at, last_used_at, revoked FROM tokens"
      " WHERE (?1 = '' OR tenant_id = ?1) AND id > ?2 ORDER BY id LIMIT ?3");
  query.bind(tenantId, page.after, page.limit);
  std::vector<model::Token> tokens;
  while (query.step()) tokens.push_back(readToken(query));
  return tokens;
}

model::Token Tokens::get(const std::string& id) const {
  const auto lock = store_.lock();
  auto query = store_.database().prepare(
      "SELECT id, name, scope, tenant_id, created_at, last_used_at, revoked FROM tokens WHERE id = ?1");
  query.bind(id);
  if (!query.step()) throw NotFound("token", id);
  return readToken(query);
}

void Tokens::revoke(const std::string& id) {
  store_.transact([&] { store_.database().run("UPDATE tokens SET revoked = 1 WHERE id = ?1", get(id).id); });
}

void Audit::append(model::AuditEntry entry) {
  store_.transact([&] {
    entry.id = nextNumber(store_, "audit");
    if (entry.at == 0) entry.at = now();
    entry.action = utf8::shortened(utf8::mended(entry.action), kMostAuditText);
    entry.subject = utf8::shortened(utf8::mended(entry.subject), kMostAuditText);
    store_.database().run(
        "INSERT INTO audit (id, at, actor, tenant_id, action, subject, status) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
        entry.id, entry.at, entry.actor, entry.tenantId, entry.action, entry.subject, entry.status);
  });
}

std::vector<model::AuditEntry> Audit::list(const std::string& tenantId, const Page& page) const {
  const auto lock = store_.lock();
  auto query = store_.database().prepare(
      "SELECT id, at, actor, tenant_id, action, subject, status FROM audit"
      " WHERE (?1 = '' OR tenant_id = ?1) AND id < ?2 ORDER BY id DESC LIMIT ?3");
  query.bind(tenantId, idBefore(page.after), page.limit);
  std::vector<model::AuditEntry> entries;
  while (query.step()) {
    entries.push_back({query.integer(0), query.integer(1), query.text(2), query.text(3), query.text(4), query.text(5),
                       query.integer(6)});
  }
  return entries;
}

void Events::append(const std::string& tenantId, const std::string& app, const std::string& kind,
                    const std::string& text) {
  store_.transact([&] {
    store_.database().run("INSERT INTO events (id, at, tenant_id, app, kind, text) VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
                          nextNumber(store_, "event"), now(), tenantId, app, kind,
                          utf8::shortened(utf8::mended(text), kMostEventText));
  });
}

std::vector<model::Event> Events::since(std::int64_t after, const std::string& tenantId, const std::string& app,
                                        std::size_t limit) const {
  const auto lock = store_.lock();
  auto query = store_.database().prepare(
      "SELECT id, at, tenant_id, app, kind, text FROM events"
      " WHERE id > ?1 AND (?2 = '' OR tenant_id = ?2) AND (?3 = '' OR app = ?3) ORDER BY id LIMIT ?4");
  query.bind(after, tenantId, app, limit);
  std::vector<model::Event> events;
  while (query.step()) events.push_back(readEvent(query));
  return events;
}

std::int64_t Events::lastId() const {
  const auto lock = store_.lock();
  auto query = store_.database().prepare("SELECT value FROM counters WHERE name = 'event'");
  return query.step() ? query.integer(0) : 0;
}

std::vector<model::Event> Events::list(const std::string& tenantId, const std::string& app, const Page& page) const {
  const auto lock = store_.lock();
  auto query = store_.database().prepare(
      "SELECT id, at, tenant_id, app, kind, text FROM events"
      " WHERE id < ?1 AND (?2 = '' OR tenant_id = ?2) AND (?3 = '' OR app = ?3) ORDER BY id DESC LIMIT ?4");
  query.bind(idBefore(page.after), tenantId, app, page.limit);
  std::vector<model::Event> events;
  while (query.step()) events.push_back(readEvent(query));
  return events;
}

void Events::dropBefore(model::Micros time) {
  store_.transact([&] { store_.database().run("DELETE FROM events WHERE at < ?1", time); });
}

std::optional<StoredResponse> IdempotencyKeys::begin(const std::string& tokenId, const std::string& key,
                                                     const std::string& fingerprint) {
  return store_.transact([&]() -> std::optional<StoredResponse> {
    auto query = store_.database().prepare(
        "SELECT fingerprint, status, body FROM idempotency_keys WHERE token_id = ?1 AND key = ?2");
    query.bind(tokenId, key);
    if (!query.step()) {
      auto owner = store_.database().prepare("SELECT COALESCE(tenant_id, '') FROM tokens WHERE id = ?1");
      owner.bind(tokenId);
      const auto tenantId = owner.step() ? owner.text(0) : std::string();
      if (!tenantId.empty()) {
        requireRoom(Quotas(store_).idempotencyKeys(tenantId), 1, "Idempotency-Key");
        requireRoom(Quotas(store_).idempotencyBytes(tenantId), 1, "Idempotency-Key");
      }
      store_.database().run(
          "INSERT INTO idempotency_keys (token_id, key, fingerprint, created_at, tenant_id, bytes)"
          " VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
          tokenId, key, fingerprint, now(), tenantId, key.size() + fingerprint.size());
      return std::nullopt;
    }
    if (query.text(0) != fingerprint) {
      throw Conflict("idempotency_key_reused", "Idempotency-Key", "this key was used for a different request");
    }
    if (query.integer(1) == 0) {
      throw Conflict("idempotency_in_progress", "Idempotency-Key", "the first request with this key is still running");
    }
    return StoredResponse{static_cast<int>(query.integer(1)), query.text(2)};
  });
}

void IdempotencyKeys::finish(const std::string& tokenId, const std::string& key, const StoredResponse& response) {
  store_.transact([&] {
    store_.database().run(
        "UPDATE idempotency_keys SET status = ?3, body = ?4, bytes = bytes + ?5 WHERE token_id = ?1 AND key = ?2",
        tokenId, key, response.status, response.body, response.body.size());
  });
}

void IdempotencyKeys::abandon(const std::string& tokenId, const std::string& key) {
  store_.transact([&] {
    store_.database().run("DELETE FROM idempotency_keys WHERE token_id = ?1 AND key = ?2 AND status = 0", tokenId, key);
  });
}

void IdempotencyKeys::abandonAll() {
  store_.transact([&] { store_.database().run("DELETE FROM idempotency_keys WHERE status = 0"); });
}

void IdempotencyKeys::dropBefore(model::Micros time) {
  store_.transact([&] { store_.database().run("DELETE FROM idempotency_keys WHERE created_at < ?1", time); });
}

}  // namespace cloister::store
