// FakeServer: cloisterd's node endpoints on a Unix socket, saying what a test wants and remembering what the node said.
//
// Threads: any. Failures: gtest's; waiting is bounded.
#pragma once

#include <Poco/Net/HTTPServer.h>
#include <Poco/Net/WebSocket.h>

#include <condition_variable>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "controlplane/model/node_protocol.h"
#include "metering/base/usage.h"

namespace cloister::test {

class FakeServer {
 public:
  explicit FakeServer(const std::string& socketPath);
  ~FakeServer();
  FakeServer(const FakeServer&) = delete;
  FakeServer& operator=(const FakeServer&) = delete;

  // What the node gets from now on; the revision is ours.
  void want(model::NodeWork work);
  void addBlob(const std::string& digest, const std::string& bytes);
  [[nodiscard]] std::optional<std::string> blob(const std::string& digest);
  [[nodiscard]] std::string buildLog(const std::string& build);
  // Rows of all batches, each (source, sequence) once, as the ledger takes them.
  [[nodiscard]] std::vector<metering::UsageRow> usage();
  struct Batches {
    std::uint64_t taken = 0;
    std::uint64_t repeated = 0;
    std::uint64_t differing = 0;  // repeated with other rows
    std::uint64_t refused = 0;    // answers 409
  };
  [[nodiscard]] Batches batches();
  // Takes every `n`th batch and does not say so, as a server that dies before its answer: the node must repeat it.
  void loseEveryAnswer(unsigned n);
  // Has the sequence of the next new batch with other content: refuses it, as often as it comes.
  void refuseNextSequence();
  [[nodiscard]] std::vector<model::EventReport> events();

  using StatusCheck = std::function<bool(const model::NodeStatus&)>;
  // The latest status once it fulfils `check`; none after `seconds`.
  [[nodiscard]] std::optional<model::NodeStatus> awaitStatus(const StatusCheck& check, int seconds);
  // The latest report of an instance.
  [[nodiscard]] std::optional<model::InstanceReport> awaitInstance(const std::string& id, model::InstanceState state,
                                                                   int seconds);
  [[nodiscard]] std::optional<model::BuildReport> awaitBuild(const std::string& id, int seconds);
  // Every state that the instance was reported in, in order, without repetitions.
  [[nodiscard]] std::vector<model::InstanceState> history(const std::string& id);

  // All frames of a session (the channel first) until the node closed it; `input` is sent first. The client leaves when
  // the output has `leaveAt`, if that is not empty.
  struct Conversation {
    std::vector<std::string> input;
    std::string leaveAt;
    std::map<int, std::string> said;  // by channel, joined
    std::string last;                 // control message
    bool closed = false;
  };
  // What a client of exec or run begins with.
  [[nodiscard]] static std::vector<std::string> command(const std::vector<std::string>& argv);
  void expectSession(const std::string& id, std::vector<std::string> input, const std::string& leaveAt = {});
  [[nodiscard]] Conversation awaitSession(const std::string& id, int seconds);

  // For the request handlers.
  void serve(Poco::Net::HTTPServerRequest& request, Poco::Net::HTTPServerResponse& response);

 private:
  void serveUsage(const std::string& body, Poco::Net::HTTPServerResponse& response);
  void serveDesired(Poco::Net::HTTPServerRequest& request, Poco::Net::HTTPServerResponse& response);
  void serveSession(const std::string& id, Poco::Net::HTTPServerRequest& request,
                    Poco::Net::HTTPServerResponse& response);

  std::mutex mutex_;
  std::condition_variable changed_;
  bool stopping_ = false;
  model::NodeWork work_;
  std::map<std::string, std::string> blobs_;
  std::map<std::string, std::string> logs_;
  std::vector<metering::UsageRow> usage_;
  std::map<std::pair<std::string, std::uint64_t>, std::string> seen_;  // batches by source and sequence
  Batches batches_;
  unsigned loseEvery_ = 0;
  bool refuseNext_ = false;
  std::set<std::pair<std::string, std::uint64_t>> others_;  // of which it has other content
  std::vector<model::EventReport> events_;
  std::optional<model::NodeStatus> status_;
  std::map<std::string, std::vector<model::InstanceState>> history_;
  std::map<std::string, Conversation> sessions_;
  std::unique_ptr<Poco::Net::HTTPServer> server_;
};

}  // namespace cloister::test
