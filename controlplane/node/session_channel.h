// SessionChannel: the node's end of a session's WebSocket as frames (controlplane/model/session_protocol.h).
//
// Threads: not shared. Failures: a connection that broke ends the session: received frames become `closed`, sending
// returns false from then on.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "controlplane/model/session_protocol.h"

namespace Poco::Net {
class WebSocket;
}

namespace cloister::node {

using model::Channel;

// What the other side asked for.
struct Resize {
  std::uint16_t rows = 0;
  std::uint16_t columns = 0;
};
struct Frame {
  enum class Kind { none, argument, start, input, more, resize, inputClosed, closed };
  Kind kind = Kind::none;   // none: a frame that means nothing to us
  std::string data;         // argument, input
  std::uint64_t bytes = 0;  // more
  Resize size;
};
// A message without its WebSocket frame.
[[nodiscard]] Frame parseFrame(std::string_view message);
// `notice` is what the client's user should know beside the code; empty: nothing.
[[nodiscard]] std::string exitMessage(int code, const std::string& notice = {});
[[nodiscard]] std::string errorMessage(const std::string& text);
// Why the command was not started, and the exit code that a shell would give for it.
[[nodiscard]] std::string refusalMessage(int code, const std::string& text);
[[nodiscard]] std::string moreMessage(std::uint64_t bytes);
[[nodiscard]] std::string inputClosedMessage();

class SessionChannel {
 public:
  explicit SessionChannel(std::unique_ptr<Poco::Net::WebSocket> socket);
  ~SessionChannel();
  SessionChannel(const SessionChannel&) = delete;
  SessionChannel& operator=(const SessionChannel&) = delete;

  // For waiting; buffered() tells whether a frame was read ahead and no waiting is needed.
  [[nodiscard]] int fd() const;
  [[nodiscard]] bool buffered() const;
  // The next frame; waits for it.
  [[nodiscard]] Frame receive();
  bool send(Channel channel, std::string_view data);
  // Ends the session in order.
  void close();
  [[nodiscard]] bool open() const { return open_; }

 private:
  std::unique_ptr<Poco::Net::WebSocket> socket_;
  bool open_ = true;
};

}  // namespace cloister::node
