#include "controlplane/store/node_tokens.h"

#include "controlplane/store/store.h"
#include "sandbox/base/identity.h"

namespace cloister::store {

void NodeTokens::bind(const std::string& tokenId, const std::string& node) {
  if (!validLabel(node)) throw Invalid("node", "must be a node's name: 1 to 63 of a-z, 0-9 and -, no - at an end");
  store_.transact([&] {
    store_.database().run("UPDATE tokens SET node = ?2 WHERE id = ?1 AND scope = 'node' AND node = ''", tokenId, node);
    store_.events().append("", "", "node.token", "the token " + tokenId + " speaks for node " + node);
  });
}

std::string NodeTokens::nodeOf(const std::string& tokenId) const {
  const auto lock = store_.lock();
  auto query = store_.database().prepare("SELECT node FROM tokens WHERE id = ?1");
  query.bind(tokenId);
  return query.step() ? query.text(0) : std::string();
}

std::string NodeTokens::require(const std::string& tokenId, const std::string& nodeNameOrId) {
  const auto lock = store_.lock();
  const auto known = store_.nodes().find(nodeNameOrId);
  const auto name = known ? known->name : nodeNameOrId;
  const auto bound = nodeOf(tokenId);
  if (bound.empty()) {
    bind(tokenId, name);
  } else if (bound != name) {
    throw Refusal(RefusalKind::quota, "forbidden", "node", "the token is that of node \"" + bound + "\"");
  }
  return name;
}

}  // namespace cloister::store
