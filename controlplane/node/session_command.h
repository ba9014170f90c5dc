// What an exec or run session begins with: the client's first frames, up to its word to start.
//
// Threads: on the calling thread. Failures: a channel that breaks or says nothing for half a minute, and `stopping`,
// give no command; an argument beyond the limits of controlplane/model/session_protocol.h is told to the client, with
// the limit.
#pragma once

#include <atomic>
#include <optional>
#include <string>
#include <vector>

#include "controlplane/node/session_channel.h"

namespace cloister::node {

struct SessionCommand {
  std::vector<std::string> arguments;
  std::optional<std::uint64_t> granted{};  // bytes of output that may be sent; none: as many as there are
  std::optional<Resize> size{};
};

[[nodiscard]] std::optional<SessionCommand> awaitCommand(SessionChannel& channel, const std::atomic<bool>& stopping);

// Takes arguments as they come, and tells the first fault of them.
class Arguments {
 public:
  // Empty, or what is wrong.
  [[nodiscard]] std::string add(std::string argument);
  [[nodiscard]] std::vector<std::string> take() { return std::move(list_); }

 private:
  std::vector<std::string> list_;
  std::size_t bytes_ = 0;  // zeros included
};

}  // namespace cloister::node
