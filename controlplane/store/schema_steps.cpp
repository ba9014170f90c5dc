#include "controlplane/store/schema_steps.h"

#include <array>

namespace cloister::store {
namespace {

// Types and clauses are those that PostgreSQL takes as well. Times are microseconds, sets and maps are JSON text.
constexpr const char* kFirst = R"sql(
CREATE TABLE counters (
  name  TEXT PRIMARY KEY,
  value BIGINT NOT NULL
);
INSERT INTO counters (name, value) VALUES ('revision', 0), ('tenant', 0), ('event', 0), ('audit', 0);

CREATE TABLE plans (
  name                    TEXT PRIMARY KEY,
  memory_bytes            BIGINT NOT NULL,
  cpu_millis              BIGINT NOT NULL,
  pids                    BIGINT NOT NULL,
  disk_bytes              BIGINT NOT NULL,
  inodes                  BIGINT NOT NULL,
  network_bits_per_second BIGINT NOT NULL,
  instances               BIGINT NOT NULL,
  apps                    BIGINT NOT NULL,
  build_memory_bytes      BIGINT NOT NULL,
  build_disk_bytes        BIGINT NOT NULL,
  build_seconds           BIGINT NOT NULL,
  revision                BIGINT NOT NULL DEFAULT 1
);

CREATE TABLE tenants (
  id           TEXT PRIMARY KEY,
  name         TEXT NOT NULL UNIQUE,
  plan         TEXT NOT NULL REFERENCES plans (name),
  state        TEXT NOT NULL,
  tenant_index BIGINT NOT NULL UNIQUE CHECK (tenant_index BETWEEN 1 AND 30000),
  created_at   BIGINT NOT NULL,
  revision     BIGINT NOT NULL DEFAULT 1
);

CREATE TABLE apps (
  id              TEXT PRIMARY KEY,
  tenant_id       TEXT NOT NULL REFERENCES tenants (id) ON DELETE CASCADE,
  name            TEXT NOT NULL,
  current_release BIGINT NOT NULL DEFAULT 0,
  formation       TEXT NOT NULL,
  config          TEXT NOT NULL DEFAULT '{}',
  removing        BIGINT NOT NULL DEFAULT 0,
  created_at      BIGINT NOT NULL,
  revision        BIGINT NOT NULL DEFAULT 1,
  UNIQUE (tenant_id, name)
);

CREATE TABLE secrets (
  app_id     TEXT NOT NULL REFERENCES apps (id) ON DELETE CASCADE,
  name       TEXT NOT NULL,
  sealed     TEXT NOT NULL,
  updated_at BIGINT NOT NULL,
  PRIMARY KEY (app_id, name)
);

CREATE TABLE domains (
  host      TEXT PRIMARY KEY,
  app_id    TEXT NOT NULL REFERENCES apps (id) ON DELETE CASCADE,
  tenant_id TEXT NOT NULL REFERENCES tenants (id) ON DELETE CASCADE
);
CREATE INDEX domains_by_app ON domains (app_id);

CREATE TABLE builds (
  id             TEXT PRIMARY KEY,
  tenant_id      TEXT NOT NULL REFERENCES tenants (id) ON DELETE CASCADE,
  app_id         TEXT NOT NULL REFERENCES apps (id) ON DELETE CASCADE,
  operation_id   TEXT NOT NULL,
  created_by     TEXT NOT NULL DEFAULT '',
  source_digest  TEXT NOT NULL,
  base_digest    TEXT NOT NULL,
  slug_digest    TEXT NOT NULL DEFAULT '',
  manifest       TEXT NOT NULL,
  state          TEXT NOT NULL,
  failure_code   TEXT NOT NULL DEFAULT '',
  failure_detail TEXT NOT NULL DEFAULT '',
  node_id        TEXT NOT NULL DEFAULT '',
  address        BIGINT NOT NULL DEFAULT 0,
  created_at     BIGINT NOT NULL,
  finished_at    BIGINT NOT NULL DEFAULT 0
);
CREATE INDEX builds_by_app ON builds (app_id, id);
CREATE INDEX builds_by_state ON builds (state, id);

CREATE TABLE releases (
  app_id       TEXT NOT NULL REFERENCES apps (id) ON DELETE CASCADE,
  version      BIGINT NOT NULL,
  build_id     TEXT NOT NULL,
  base_digest  TEXT NOT NULL,
  slug_digest  TEXT NOT NULL,
  manifest     TEXT NOT NULL,
  config       TEXT NOT NULL,
  description  TEXT NOT NULL,
  created_by   TEXT NOT NULL,
  created_at   BIGINT NOT NULL,
  PRIMARY KEY (app_id, version)
);

CREATE TABLE nodes (
  id                TEXT PRIMARY KEY,
  name              TEXT NOT NULL UNIQUE,
  state             TEXT NOT NULL,
  boot_id           TEXT NOT NULL DEFAULT '',
  observed_revision BIGINT NOT NULL DEFAULT 0,
  posture           TEXT NOT NULL DEFAULT '{}',
  last_seen         BIGINT NOT NULL DEFAULT 0
);

CREATE TABLE instances (
  id            TEXT PRIMARY KEY,
  tenant_id     TEXT NOT NULL REFERENCES tenants (id),
  app_id        TEXT NOT NULL REFERENCES apps (id),
  release       BIGINT NOT NULL,
  process       TEXT NOT NULL,
  node_id       TEXT NOT NULL REFERENCES nodes (id),
  address       BIGINT NOT NULL,
  port          BIGINT NOT NULL,
  one_off       BIGINT NOT NULL,
  memory_bytes  BIGINT NOT NULL,
  cpu_millis    BIGINT NOT NULL,
  pids          BIGINT NOT NULL,
  disk_bytes    BIGINT NOT NULL,
  inodes        BIGINT NOT NULL,
  desired       TEXT NOT NULL,
  state         TEXT NOT NULL,
  restarts      BIGINT NOT NULL DEFAULT 0,
  reason        TEXT NOT NULL DEFAULT '',
  created_at    BIGINT NOT NULL,
  changed_at    BIGINT NOT NULL,
  started_at    BIGINT NOT NULL DEFAULT 0,
  ready_at      BIGINT NOT NULL DEFAULT 0,
  drained_at    BIGINT NOT NULL DEFAULT 0,
  stop_revision BIGINT NOT NULL DEFAULT 0
);
CREATE INDEX instances_by_tenant ON instances (tenant_id, id);
CREATE INDEX instances_by_app ON instances (app_id, id);

CREATE TABLE addresses (
  node_id     TEXT NOT NULL,
  address     BIGINT NOT NULL,
  owner       TEXT NOT NULL,
  released_at BIGINT NOT NULL DEFAULT 0,
  PRIMARY KEY (node_id, address)
);
CREATE INDEX addresses_by_owner ON addresses (owner);

CREATE TABLE operations (
  id             TEXT PRIMARY KEY,
  tenant_id      TEXT NOT NULL,
  kind           TEXT NOT NULL,
  subject        TEXT NOT NULL,
  state          TEXT NOT NULL,
  progress       TEXT NOT NULL,
  failure_code   TEXT NOT NULL DEFAULT '',
  failure_detail TEXT NOT NULL DEFAULT '',
  result         TEXT NOT NULL DEFAULT '',
  created_at     BIGINT NOT NULL,
  updated_at     BIGINT NOT NULL
);
CREATE INDEX operations_by_tenant ON operations (tenant_id, id);

CREATE TABLE rollouts (
  operation_id     TEXT PRIMARY KEY REFERENCES operations (id) ON DELETE CASCADE,
  app_id           TEXT NOT NULL REFERENCES apps (id) ON DELETE CASCADE,
  release          BIGINT NOT NULL,
  previous_release BIGINT NOT NULL
);

CREATE TABLE tokens (
  id           TEXT PRIMARY KEY,
  name         TEXT NOT NULL,
  scope        TEXT NOT NULL,
  tenant_id    TEXT REFERENCES tenants (id) ON DELETE CASCADE,
  hash         TEXT NOT NULL UNIQUE,
  created_at   BIGINT NOT NULL,
  last_used_at BIGINT NOT NULL DEFAULT 0,
  revoked      BIGINT NOT NULL DEFAULT 0
);

CREATE TABLE audit (
  id        BIGINT PRIMARY KEY,
  at        BIGINT NOT NULL,
  actor     TEXT NOT NULL,
  tenant_id TEXT NOT NULL,
  action    TEXT NOT NULL,
  subject   TEXT NOT NULL,
  status    BIGINT NOT NULL
);
CREATE INDEX audit_by_tenant ON audit (tenant_id, id);

CREATE TABLE events (
  id        BIGINT PRIMARY KEY,
  at        BIGINT NOT NULL,
  tenant_id TEXT NOT NULL,
  app       TEXT NOT NULL,
  kind      TEXT NOT NULL,
  text      TEXT NOT NULL
);
CREATE INDEX events_by_tenant ON events (tenant_id, id);

CREATE TABLE idempotency_keys (
  token_id    TEXT NOT NULL,
  key         TEXT NOT NULL,
  fingerprint TEXT NOT NULL,
  status      BIGINT NOT NULL DEFAULT 0,
  body        TEXT NOT NULL DEFAULT '',
  created_at  BIGINT NOT NULL,
  PRIMARY KEY (token_id, key)
);
)sql";

constexpr const char* kFinerLimits = R"sql(
ALTER TABLE plans ADD COLUMN memory_high_bytes BIGINT NOT NULL DEFAULT 0;
ALTER TABLE plans ADD COLUMN cpu_burst_millis BIGINT NOT NULL DEFAULT 0;
ALTER TABLE plans ADD COLUMN disk_bytes_per_second BIGINT NOT NULL DEFAULT 0;
ALTER TABLE plans ADD COLUMN disk_operations_per_second BIGINT NOT NULL DEFAULT 0;
)sql";

constexpr const char* kCallProfiles = R"sql(
CREATE TABLE call_profiles (
  app_id      TEXT PRIMARY KEY REFERENCES apps (id) ON DELETE CASCADE,
  mode        TEXT NOT NULL,
  learn_until BIGINT NOT NULL,
  builds      BIGINT NOT NULL
);

CREATE TABLE seen_calls (
  app_id   TEXT NOT NULL REFERENCES apps (id) ON DELETE CASCADE,
  number   BIGINT NOT NULL,
  by_app   BIGINT NOT NULL DEFAULT 0,
  by_build BIGINT NOT NULL DEFAULT 0,
  by_name  BIGINT NOT NULL DEFAULT 0,
  flagged  BIGINT NOT NULL DEFAULT 0,
  first_at BIGINT NOT NULL,
  PRIMARY KEY (app_id, number)
);
)sql";

// A tenant that is there already has been on its plan since it was made.
constexpr const char* kBilling = R"sql(
CREATE TABLE billing_events (
  number    BIGINT PRIMARY KEY,
  at        BIGINT NOT NULL,
  tenant_id TEXT NOT NULL,
  what      TEXT NOT NULL,
  was       TEXT NOT NULL,
  becomes   TEXT NOT NULL
);
INSERT INTO billing_events (number, at, tenant_id, what, was, becomes)
  SELECT tenant_index, created_at, id, 'plan', '', plan FROM tenants;
INSERT INTO counters (name, value) SELECT 'billing_event', COALESCE(MAX(tenant_index), 0) FROM tenants;

CREATE TABLE throttles (
  tenant_id       TEXT PRIMARY KEY REFERENCES tenants (id) ON DELETE CASCADE,
  bits_per_second BIGINT NOT NULL,
  until           BIGINT NOT NULL
);
)sql";

// By name, as its batches have it, and without a reference: statements of past months need keys of nodes that are gone.
constexpr const char* kNodeKeys = R"sql(
CREATE TABLE node_keys (
  node       TEXT NOT NULL,
  public_key TEXT NOT NULL,
  since      BIGINT NOT NULL,
  PRIMARY KEY (node, public_key)
);
)sql";

constexpr const char* kAlerts = R"sql(
CREATE TABLE alerts (
  tenant_id TEXT NOT NULL REFERENCES tenants (id) ON DELETE CASCADE,
  month     BIGINT NOT NULL,
  kind      TEXT NOT NULL,
  PRIMARY KEY (tenant_id, month, kind)
);
)sql";

// Keys from before count as nobody's; they are gone within a day.
constexpr const char* kQuotas = R"sql(
ALTER TABLE idempotency_keys ADD COLUMN tenant_id TEXT NOT NULL DEFAULT '';
ALTER TABLE idempotency_keys ADD COLUMN bytes BIGINT NOT NULL DEFAULT 0;
CREATE INDEX idempotency_keys_by_tenant ON idempotency_keys (tenant_id, bytes);
CREATE INDEX domains_by_tenant ON domains (tenant_id);
CREATE INDEX tokens_by_tenant ON tokens (tenant_id, id);
)sql";

// Empty: of no node yet.
constexpr const char* kNodeTokens = R"sql(
ALTER TABLE tokens ADD COLUMN node TEXT NOT NULL DEFAULT '';
)sql";

// `inputs` is what a build was made of, as one digest: the same inputs make the same image.
constexpr const char* kBuildInputs = R"sql(
ALTER TABLE builds ADD COLUMN tree_digest TEXT NOT NULL DEFAULT '';
ALTER TABLE builds ADD COLUMN environment TEXT NOT NULL DEFAULT '{}';
ALTER TABLE builds ADD COLUMN inputs TEXT NOT NULL DEFAULT '';
ALTER TABLE builds ADD COLUMN no_reuse BIGINT NOT NULL DEFAULT 0;
ALTER TABLE builds ADD COLUMN reused TEXT NOT NULL DEFAULT '';
CREATE INDEX builds_by_inputs ON builds (app_id, inputs, id);
)sql";

// Images of before have no size yet; cloisterd measures what it has when it starts.
constexpr const char* kImages = R"sql(
ALTER TABLE plans ADD COLUMN releases BIGINT NOT NULL DEFAULT 10;
ALTER TABLE plans ADD COLUMN image_disk_bytes BIGINT NOT NULL DEFAULT 10737418240;
ALTER TABLE releases ADD COLUMN image_dropped BIGINT NOT NULL DEFAULT 0;

CREATE TABLE images (
  tenant_id TEXT NOT NULL REFERENCES tenants (id) ON DELETE CASCADE,
  digest    TEXT NOT NULL,
  bytes     BIGINT NOT NULL,
  PRIMARY KEY (tenant_id, digest)
);
)sql";

// Digests of layers stand in one text, topmost first, a blank between two.
constexpr const char* kBuildLayers = R"sql(
ALTER TABLE builds ADD COLUMN steps TEXT NOT NULL DEFAULT '{}';
ALTER TABLE builds ADD COLUMN layers TEXT NOT NULL DEFAULT '';
ALTER TABLE releases ADD COLUMN layers TEXT NOT NULL DEFAULT '';

CREATE TABLE build_layers (
  app_id  TEXT NOT NULL REFERENCES apps (id) ON DELETE CASCADE,
  inputs  TEXT NOT NULL,
  digest  TEXT NOT NULL,
  used_at BIGINT NOT NULL,
  PRIMARY KEY (app_id, inputs)
);
)sql";

// Until then an app had one set of secrets for all of its releases. A release whose config has the name keeps that.
constexpr const char* kWholeReleases = R"sql(
CREATE TABLE release_secrets (
  app_id TEXT NOT NULL, version BIGINT NOT NULL, name TEXT NOT NULL, sealed TEXT NOT NULL, updated_at BIGINT NOT NULL,
  PRIMARY KEY (app_id, version, name),
  FOREIGN KEY (app_id, version) REFERENCES releases (app_id, version) ON DELETE CASCADE
);
INSERT INTO release_secrets (app_id, version, name, sealed, updated_at)
  SELECT releases.app_id, releases.version, secrets.name, secrets.sealed, secrets.updated_at
  FROM releases JOIN secrets ON secrets.app_id = releases.app_id
  WHERE releases.config NOT LIKE '%"' || REPLACE(secrets.name, '_', '!_') || '":%' ESCAPE '!';
DELETE FROM secrets WHERE app_id IN (SELECT id FROM apps WHERE current_release > 0);
UPDATE apps SET config = '{}' WHERE current_release > 0;
ALTER TABLE releases ADD COLUMN state TEXT NOT NULL DEFAULT 'released';
)sql";

constexpr const char* kSettling = R"sql(
ALTER TABLE instances ADD COLUMN ready_since BIGINT NOT NULL DEFAULT 0;
ALTER TABLE instances ADD COLUMN settled_at BIGINT NOT NULL DEFAULT 0;
ALTER TABLE instances ADD COLUMN next_start_at BIGINT NOT NULL DEFAULT 0;
ALTER TABLE rollouts ADD COLUMN failure_code TEXT NOT NULL DEFAULT '';
ALTER TABLE rollouts ADD COLUMN failure_detail TEXT NOT NULL DEFAULT '';
ALTER TABLE rollouts ADD COLUMN failure_instance TEXT NOT NULL DEFAULT '';
ALTER TABLE rollouts ADD COLUMN failed_at BIGINT NOT NULL DEFAULT 0;
ALTER TABLE operations ADD COLUMN notice TEXT NOT NULL DEFAULT ''; ALTER TABLE operations ADD COLUMN failure_instance TEXT NOT NULL DEFAULT '';
ALTER TABLE plans ADD COLUMN surge_percent BIGINT NOT NULL DEFAULT 0;
)sql";

// `images_since` is until when a tenant's images are on the bill, 0 before the first time.
constexpr const char* kImageStorage = R"sql(
CREATE TABLE ledger_outbox (
  sequence  BIGINT NOT NULL,
  place     BIGINT NOT NULL,
  tenant_id TEXT NOT NULL,
  meter     TEXT NOT NULL,
  quantity  BIGINT NOT NULL,
  begins    BIGINT NOT NULL,
  ends      BIGINT NOT NULL,
  note      TEXT NOT NULL,
  PRIMARY KEY (sequence, place)
);
INSERT INTO ledger_outbox (sequence, place, tenant_id, meter, quantity, begins, ends, note)
  SELECT number, 0, tenant_id, 'lifecycle', 1, at, at + 1,
         what || ' ' || CASE was WHEN '' THEN '-' ELSE was END || ' -> ' || CASE becomes WHEN '' THEN '-' ELSE becomes END
  FROM billing_events;
DROP TABLE billing_events;
UPDATE counters SET name = 'ledger_outbox' WHERE name = 'billing_event';
ALTER TABLE tenants ADD COLUMN images_since BIGINT NOT NULL DEFAULT 0;
)sql";

constexpr std::array<std::string_view, 14> kSteps = {
    kFirst,      kFinerLimits, kCallProfiles, kBilling,     kNodeKeys,      kAlerts,   kQuotas,
    kNodeTokens, kBuildInputs, kImages,       kBuildLayers, kWholeReleases, kSettling, kImageStorage};

}  // namespace

std::span<const std::string_view> schemaSteps() {
  return kSteps;
}

}  // namespace cloister::store
