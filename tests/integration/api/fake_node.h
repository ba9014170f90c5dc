// FakeNode: the node's side of controlplane/model/node_protocol.h, doing what a test says instead of launching
// containers.
//
// Threads: any; one connection a call. Failures: Poco exceptions when there is no answer.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "controlplane/model/node_protocol.h"
#include "http_client.h"

namespace Poco::Net {
class HTTPClientSession;
class WebSocket;
}  // namespace Poco::Net

namespace cloister::testing {

class FakeNode {
 public:
  FakeNode(std::string socket, std::string token, std::string name = "one")
      : socket_(std::move(socket)), token_(std::move(token)), name_(std::move(name)) {}

  Reply send(const std::string& method, const std::string& path, const std::string& body = {},
             const std::string& type = "application/json") const;
  [[nodiscard]] std::optional<model::NodeWork> desired(std::int64_t revision) const;
  // Asks again until `wanted` of the work is true; nullopt after 20 s.
  [[nodiscard]] std::optional<model::NodeWork> await(const std::function<bool(const model::NodeWork&)>& wanted) const;
  // Reports all instances of `work` in `state`, and the builds given.
  Reply report(const model::NodeWork& work, model::InstanceState state,
               const std::vector<model::BuildReport>& builds = {}) const;
  [[nodiscard]] std::string putBlob(const std::string& bytes) const;  // its digest
  [[nodiscard]] std::unique_ptr<Poco::Net::WebSocket> join(const std::string& session) const;

 private:
  [[nodiscard]] std::unique_ptr<Poco::Net::HTTPClientSession> connect() const;
  std::string socket_;
  std::string token_;
  std::string name_;
};

[[nodiscard]] std::string digestOf(const std::string& bytes);

}  // namespace cloister::testing
