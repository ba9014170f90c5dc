// Server: cloisterd's node endpoints as calls (controlplane/model/node_protocol.h has the list).
//
// One connection a call: a Unix stream socket ("unix:PATH") or TCP, with TLS for https. The token file is read for each
// call, so a new token needs no restart.
// Threads: any. Failures: Poco exceptions for a server that is away, ServerRefused for an answer that is no success.
#pragma once

#include <Poco/AutoPtr.h>

#include <functional>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>

#include "controlplane/model/node_protocol.h"
#include "controlplane/node/config.h"

namespace Poco::Net {
class Context;
class HTTPClientSession;
class HTTPRequest;
class WebSocket;
}  // namespace Poco::Net

namespace cloister::node {

class ServerRefused : public std::runtime_error {
 public:
  ServerRefused(const std::string& what, int status) : std::runtime_error(what), status_(status) {}
  [[nodiscard]] int status() const { return status_; }

 private:
  int status_;
};

class Server {
 public:
  explicit Server(const Config& config);
  ~Server();
  Server(const Server&) = delete;
  Server& operator=(const Server&) = delete;

  // Waits up to 25 s at the server; no value when nothing is newer than `revision`.
  [[nodiscard]] std::optional<model::NodeWork> desired(std::int64_t revision) const;
  void postStatus(const std::string& json) const;
  // The sequence that the ledger has.
  [[nodiscard]] std::uint64_t postUsage(const std::string& json) const;
  void postBuildLog(const std::string& build, std::string_view chunk) const;
  // Calls `sink` with the bytes as they come.
  void getBlob(const std::string& digest, const std::function<void(std::string_view)>& sink) const;
  // Whether the server reads it where the launcher keeps it, so that it need not be sent.
  [[nodiscard]] bool hasBlob(const std::string& digest) const;
  void putBlob(const std::string& digest, const std::string& path) const;
  [[nodiscard]] std::unique_ptr<Poco::Net::WebSocket> joinSession(const std::string& session) const;

 private:
  [[nodiscard]] std::unique_ptr<Poco::Net::HTTPClientSession> connect(int seconds) const;
  void authorise(Poco::Net::HTTPRequest& request) const;
  // Status and body of a call with a small answer.
  struct Answer {
    int status = 0;
    std::string body;
  };
  [[nodiscard]] Answer call(const std::string& method, const std::string& path, const std::string& type,
                            std::string_view body, int seconds) const;

  std::string server_;
  std::string name_;
  std::string tokenFile_;
  Poco::AutoPtr<Poco::Net::Context> tls_;
};

}  // namespace cloister::node
