// ProcessSession: a process's terminal or pipes joined to a session's channel, until the process or the channel ends.
//
// No byte is dropped and little is held: input that the process has not read yet, at most model::kWindow of what was
// granted, and of the output what a pipe or terminal holds. A process that closes its descriptors goes on; one that
// leaves others behind with them has ended all the same, and what it wrote is sent first.
// Threads: everything on the calling thread. Failures: what cannot be made comes back; a channel that breaks ends it.
#pragma once

#include <atomic>
#include <cstdint>
#include <optional>
#include <string>

#include "controlplane/node/session_channel.h"
#include "sandbox/base/streams.h"
#include "sandbox/client/launcher_client.h"

namespace cloister::node {

enum class Tty { yes, no };

class ProcessSession {
 public:
  // `statusFile` is made anew; the process's end is written into it.
  [[nodiscard]] static Result<ProcessSession> make(Tty tty, const std::string& statusFile);
  // The process's ends, of which it gets a terminal's from the launcher. Valid until begun().
  [[nodiscard]] sandbox::Standard standard() const;
  // The process has its ends: ours of its are closed. `leader`: of its terminal, if it has one.
  [[nodiscard]] Status begun(UniqueFd leader);
  // Closes our ends: what only served them learns that they are gone.
  void hangUp();
  // Carries bytes until the process (`pidfd`) ends, the channel closes or `stopping`. The value is the exit code as a
  // shell has it (128 + signal), or no value when something else ended first. `granted`: bytes of output that the
  // client takes; none: it takes all.
  [[nodiscard]] std::optional<int> run(SessionChannel& channel, int pidfd, std::optional<std::uint64_t> granted,
                                       const std::atomic<bool>& stopping);

 private:
  void take(Frame frame);
  // True when there may be more to send now.
  [[nodiscard]] bool forward(int from, bool& ended, Channel to, SessionChannel& channel);
  // All that the ended process has left, as far as the client takes it; true when that was all.
  [[nodiscard]] bool drain(SessionChannel& channel);
  // The process reads no more: what is held goes, and the client is told.
  void inputUnread(SessionChannel& channel);
  void writeInput(SessionChannel& channel);
  [[nodiscard]] bool takesMore() const { return !granted_ || *granted_ > 0; }
  [[nodiscard]] int outputFd() const { return tty_ == Tty::yes ? leader_.get() : output_.get(); }
  [[nodiscard]] int inputFd() const { return tty_ == Tty::yes ? leader_.get() : input_.get(); }
  [[nodiscard]] int exitCode() const;

  Tty tty_ = Tty::no;
  std::string statusFile_;
  UniqueFd status_;
  UniqueFd leader_;  // terminal, or
  UniqueFd kept_;    // a follower of ours: while it is open, the terminal is not hung up, whoever closes theirs
  UniqueFd input_;   // pipes
  UniqueFd output_;
  UniqueFd errors_;
  bool outputEnded_ = false;
  bool errorsEnded_ = false;
  UniqueFd theirInput_;
  UniqueFd theirOutput_;
  UniqueFd theirErrors_;
  std::string held_;        // input that the process has not read
  std::size_t read_ = 0;    // of `held_`: what it has
  std::uint64_t owed_ = 0;  // input that was read and not granted again yet
  bool inputClosed_ = false;
  std::optional<std::uint64_t> granted_;
  std::uint64_t lastBytes_ = 0;  // sent since the process ended
};

}  // namespace cloister::node
