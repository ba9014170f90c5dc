// Sessions: where a client that wants exec, run or logs meets the node that has the container.
//
//   client: open() -> the node's work lists the session -> node: join() with its WebSocket -> client: await() has it
// Sessions live in memory; a client whose cloisterd ends opens a new one.
// Threads: any. Failures: await() gives null when no node came in time; join() refuses what nobody waits for.
#pragma once

#include <chrono>
#include <condition_variable>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "controlplane/model/node_protocol.h"

namespace Poco::Net {
class WebSocket;
}

namespace cloister::api {

class Sessions {
 public:
  // `announce` makes the node ask for its work again (a new revision); called without a lock held.
  explicit Sessions(std::function<void()> announce);
  ~Sessions();
  Sessions(const Sessions&) = delete;
  Sessions& operator=(const Sessions&) = delete;

  // A session that waits for its node, from open() to its destruction.
  class Waiting {
   public:
    Waiting(Sessions& sessions, std::string id) : sessions_(sessions), id_(std::move(id)) {}
    ~Waiting() { sessions_.close(id_); }
    Waiting(const Waiting&) = delete;
    Waiting& operator=(const Waiting&) = delete;
    // The node's end; null when none came.
    [[nodiscard]] std::unique_ptr<Poco::Net::WebSocket> await(std::chrono::steady_clock::time_point until);

   private:
    Sessions& sessions_;
    std::string id_;
  };
  [[nodiscard]] std::unique_ptr<Waiting> open(const model::Session& session, const std::string& nodeId);

  // What the node should join.
  [[nodiscard]] std::vector<model::Session> waiting(const std::string& nodeId) const;
  // Node's side: claims the session, makes the WebSocket outside of the lock, hands it over. False: nobody waits for
  // it.
  [[nodiscard]] bool join(const std::string& id, const std::function<std::unique_ptr<Poco::Net::WebSocket>()>& upgrade);
  // Ends all waiting, now and later: before a shutdown.
  void stop();

 private:
  struct Entry {
    model::Session session;
    std::string nodeId;
    bool claimed = false;
    std::unique_ptr<Poco::Net::WebSocket> node;
  };
  [[nodiscard]] std::unique_ptr<Poco::Net::WebSocket> await(const std::string& id,
                                                            std::chrono::steady_clock::time_point until);
  void close(const std::string& id);

  std::function<void()> announce_;
  mutable std::mutex mutex_;
  std::condition_variable joined_;
  std::map<std::string, Entry> entries_;
  bool stopping_ = false;
};

}  // namespace cloister::api
