#include "controlplane/model/json.h"
#include "controlplane/store/instances.h"
#include "controlplane/store/store.h"
#include "sandbox/base/identity.h"

namespace cloister::store {
namespace {

model::Node readNode(const Statement& row) {
  model::Node node;
  row.get(0, node.id);
  row.get(1, node.name);
  node.state = model::nodeState(row.text(2)).value_or(model::NodeState::down);
  row.get(3, node.bootId);
  row.get(4, node.observedRevision);
  node.posture = model::postureFromJson(row.text(5));
  row.get(6, node.lastSeen);
  return node;
}

}  // namespace

model::Node Nodes::ensure(const std::string& nameOrId) {
  return store_.transact([&] {
    if (auto node = find(nameOrId)) return *node;
    if (!validLabel(nameOrId)) throw Invalid("node", "a node's name must be a DNS label");
    store_.database().run("INSERT INTO nodes (id, name, state, last_seen) VALUES (?1, ?2, 'ready', ?3)", newId("nd"),
                          nameOrId, now());
    store_.bumpRevision();
    return get(nameOrId);
  });
}

std::optional<model::Node> Nodes::find(const std::string& nameOrId) const {
  const auto lock = store_.lock();
  auto query = store_.database().prepare(
      "SELECT id, name, state, boot_id, observed_revision, posture, last_seen FROM nodes WHERE id = ?1 OR name = ?1"
      " ORDER BY id = ?1 DESC LIMIT 1");
  query.bind(nameOrId);
  if (!query.step()) return std::nullopt;
  return readNode(query);
}

model::Node Nodes::get(const std::string& nameOrId) const {
  auto node = find(nameOrId);
  if (!node) throw NotFound("node", nameOrId);
  return *node;
}

std::vector<model::Node> Nodes::list(const Page& page) const {
  const auto lock = store_.lock();
  auto query = store_.database().prepare(
      "SELECT id, name, state, boot_id, observed_revision, posture, last_seen FROM nodes WHERE name > ?1 ORDER BY name"
      " LIMIT ?2");
  query.bind(page.after, page.limit);
  std::vector<model::Node> nodes;
  while (query.step()) nodes.push_back(readNode(query));
  return nodes;
}

void Nodes::setState(const std::string& id, model::NodeState state) {
  store_.transact([&] {
    store_.database().run("UPDATE nodes SET state = ?2 WHERE id = ?1", get(id).id,
                          std::string_view(model::name(state)));
  });
}

void Nodes::observe(const model::Node& node) {
  store_.transact([&] {
    store_.database().run(
        "UPDATE nodes SET boot_id = ?2, observed_revision = ?3, posture = ?4, last_seen = ?5 WHERE id = ?1", node.id,
        node.bootId, node.observedRevision, model::toJson(node.posture), node.lastSeen);
  });
}

bool Nodes::addKey(const model::NodeKey& key) {
  return store_.transact([&] {
    auto known = store_.database().prepare("SELECT 1 FROM node_keys WHERE node = ?1 AND public_key = ?2");
    known.bind(key.node, key.publicKey);
    if (known.step()) return false;
    store_.database().run("INSERT INTO node_keys (node, public_key, since) VALUES (?1, ?2, ?3)", key.node,
                          key.publicKey, key.since);
    return true;
  });
}

std::vector<model::NodeKey> Nodes::keys(const std::optional<std::string>& name) const {
  const auto lock = store_.lock();
  auto query = store_.database().prepare(
      "SELECT node, public_key, since FROM node_keys WHERE ?1 = '' OR node = ?1 ORDER BY node, since, public_key");
  query.bind(name.value_or(""));
  std::vector<model::NodeKey> keys;
  while (query.step()) {
    auto& key = keys.emplace_back();
    query.get(0, key.node);
    query.get(1, key.publicKey);
    query.get(2, key.since);
  }
  return keys;
}

void Nodes::remove(const std::string& id) {
  store_.transact([&] {
    const auto node = get(id);
    auto query = store_.database().prepare("SELECT COUNT(*) FROM instances WHERE node_id = ?1");
    query.bind(node.id);
    if (query.step() && query.integer(0) > 0) {
      throw Conflict("node_in_use", "node", std::to_string(query.integer(0)) + " instances are on it; drain it first");
    }
    store_.database().run("DELETE FROM addresses WHERE node_id = ?1", node.id);
    store_.database().run("DELETE FROM nodes WHERE id = ?1", node.id);
  });
}

}  // namespace cloister::store
