// LogSession: the kept lines of all instances of an app, merged by time, and on as they come. Those of one instance
// keep their order, which a reader who was cut off relies on (api/cli/log_resume.h).
//
// Threads: on the calling thread; reads the files that LogPump writes. Failures: unreadable files are passed over.
#pragma once

#include <atomic>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "controlplane/model/node_protocol.h"
#include "controlplane/node/log_store.h"
#include "controlplane/node/session_channel.h"

namespace cloister::node {

class LogSession {
 public:
  LogSession(std::string instances, const model::Session& session);
  // The lines that are there now, in order.
  [[nodiscard]] std::vector<std::string> recent();
  // What came since.
  [[nodiscard]] std::vector<std::string> more();
  // Sends them all; with `follow` until the channel closes.
  void run(SessionChannel& channel, const std::atomic<bool>& stopping);

 private:
  // Opens the instances of the app that are new.
  void discover();

  std::string instances_;
  model::Session session_;
  std::map<std::string, std::unique_ptr<LogReader>> readers_;
  std::map<std::string, bool> foreign_;  // instances of others, looked at once
};

}  // namespace cloister::node
