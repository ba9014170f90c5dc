// Sessions: joins the sessions that clients opened: exec in a running instance, a one-off run, logs.
//
// A client that leaves ends its command: an exec with all that it has started, a run with its container. What a command
// left in the background when it ended by itself goes on, in an exec. A node that is killed ends, when it is back, the
// execs that it had then; a run's container belongs to nothing and goes as such.
// Threads: apply() by the main loop; one thread a session, at most kAtOnce. Failures: told to the client as {"error":
// ...}.
#pragma once

#include <atomic>
#include <functional>
#include <map>
#include <mutex>
#include <optional>
#include <string>
#include <thread>

#include "controlplane/model/node_protocol.h"
#include "controlplane/node/runtime.h"
#include "controlplane/node/server.h"
#include "controlplane/node/session_channel.h"
#include "controlplane/node/session_command.h"

namespace cloister::node {

class Sessions {
 public:
  static constexpr std::size_t kAtOnce = 200;
  // What an instance is now: its container and how it was started; none when it does not run.
  struct Target {
    std::string container;
    model::DesiredInstance instance;
  };
  using FindTarget = std::function<std::optional<Target>(const std::string& instance)>;

  struct Places {
    std::string sessions;
    std::string instances;
  };
  Sessions(Places places, Runtime& runtime, const Server& server, FindTarget find);
  ~Sessions();
  Sessions(const Sessions&) = delete;
  Sessions& operator=(const Sessions&) = delete;

  // Ends the execs that an earlier node process had when it was killed. Before the first apply(), with a launcher that
  // answers.
  void endLeft();
  // Begins those that are new.
  void apply(const model::NodeWork& work);
  // Containers of one-off runs under way.
  [[nodiscard]] bool uses(const std::string& tenantId);

 private:
  struct Entry {
    std::thread thread;
    std::atomic<bool> ended{false};
    std::string tenantId;
  };
  void serve(const model::Session& session, const std::optional<model::DesiredTenant>& tenant);
  void exec(const model::Session& session, const SessionCommand& command, SessionChannel& channel);
  void run(const model::Session& session, const model::DesiredTenant& tenant, const SessionCommand& command,
           SessionChannel& channel);
  // Ends what is left of an exec.
  void endExec(const std::string& container, const std::string& session);
  [[nodiscard]] std::string statusFile(const std::string& session) const;
  // Says which container an exec is in, for the next node process should this one be killed.
  [[nodiscard]] std::string placeFile(const std::string& session) const;
  [[nodiscard]] Status notePlace(const std::string& session, const std::string& container) const;

  Places places_;
  Runtime& runtime_;
  const Server& server_;
  FindTarget find_;
  std::atomic<bool> stopping_{false};
  std::mutex mutex_;
  std::map<std::string, std::unique_ptr<Entry>> entries_;
};

}  // namespace cloister::node
