// ProcessSession: a process's terminal or pipes joined to a session's channel, until one of them ends.
//
// Threads: everything on the calling thread. Failures: what cannot be made comes back; a channel that breaks ends it.
#pragma once

#include <functional>
#include <string>

#include "controlplane/node/session_channel.h"
#include "sandbox/base/streams.h"
#include "sandbox/client/launcher_client.h"

namespace cloister::node {

enum class Tty { yes, no };

class ProcessSession {
 public:
  // `statusFile` is made anew; the process's end is written into it.
  [[nodiscard]] static Result<ProcessSession> make(Tty tty, Resize size, const std::string& statusFile);
  // The process's ends. Valid until begun().
  [[nodiscard]] sandbox::Standard standard() const;
  // The process has its ends: ours of its are closed.
  void begun();
  // Carries bytes until the process (`pidfd`) ends or the channel closes. The value is the exit code as a shell has it
  // (128 + signal), or no value when the channel closed first.
  [[nodiscard]] std::optional<int> run(SessionChannel& channel, int pidfd);

 private:
  void take(const Frame& frame);
  // Returns false when that side has ended.
  [[nodiscard]] bool forward(UniqueFd& from, Channel to, SessionChannel& channel);
  void writePending();
  [[nodiscard]] int exitCode() const;

  Tty tty_ = Tty::no;
  std::string statusFile_;
  UniqueFd status_;
  UniqueFd leader_;  // terminal, or
  UniqueFd input_;   // pipes
  UniqueFd output_;
  UniqueFd errors_;
  UniqueFd theirInput_;  // a terminal's follower, too
  UniqueFd theirOutput_;
  UniqueFd theirErrors_;
  std::string pending_;
  bool inputClosed_ = false;
};

}  // namespace cloister::node
