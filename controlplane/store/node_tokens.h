// NodeTokens: for which node a token of scope node speaks. It is bound when it is made, or to the node that it first
// speaks for, and never to another one.
//
// Threads: any; each call takes the store's lock. Failures: Refusal "forbidden" for another node's token, StoreError
// for the rest.
#pragma once

#include <string>

namespace cloister::store {

class Store;

class NodeTokens {
 public:
  explicit NodeTokens(Store& store) : store_(store) {}
  // Binds a new token; `node` is a node's name, which need not be known yet.
  void bind(const std::string& tokenId, const std::string& node);
  // The name of the node that the token speaks for; empty: of none yet.
  [[nodiscard]] std::string nodeOf(const std::string& tokenId) const;
  // Whoever speaks as this node has its token; one that is bound to none is bound to it from now on. Gives the name.
  std::string require(const std::string& tokenId, const std::string& nodeNameOrId);

 private:
  Store& store_;
};

}  // namespace cloister::store
