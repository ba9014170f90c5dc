#include "api/relay.h"

#include <Poco/Buffer.h>
#include <Poco/Exception.h>
#include <Poco/Net/StreamSocket.h>
#include <Poco/Net/WebSocket.h>

#include <netinet/in.h>
#include <netinet/tcp.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <mutex>
#include <thread>

#include "sandbox/base/streams.h"

namespace cloister::api {
namespace {

using Poco::Net::Socket;
using Poco::Net::WebSocket;
using Clock = std::chrono::steady_clock;

const Poco::Timespan kTick(0, 250'000);
// The two ends grant each other what they send, so that nothing waits for long; a client that does not is waited for.
const Poco::Timespan kSendTimeout(300, 0);
const Poco::Timespan kReceiveTimeout(30, 0);  // for the rest of a frame
// A host that is gone is noticed within a minute, a client that was only stopped keeps its session.
constexpr int kProbeAfterSeconds = 20;
constexpr int kProbeEverySeconds = 10;
constexpr int kProbes = 4;
constexpr std::string_view kNodeGone = "the node that ran the command is gone, and the command with it";
constexpr auto kLinger = std::chrono::seconds(2);
constexpr auto kHeartbeat = std::chrono::seconds(15);

bool readable(WebSocket& socket, const Poco::Timespan& wait) {
  return socket.available() > 0 || socket.poll(wait, Socket::SELECT_READ);
}

// One end: sends come from two threads, frames of the other end and answers to its own pings.
struct End {
  WebSocket& socket;
  std::mutex sending;

  void send(const char* data, int length, int flags) {
    const std::scoped_lock lock(sending);
    socket.sendFrame(data, length, flags);
  }
};

// What to do when the other end takes nothing more. A node that has left has said all before, how the command ended
// included, and that is still on its way to the client.
enum class WhenDeaf { endSession, endDirection };

struct Frame {
  Poco::Buffer<char> payload{0};
  int flags = 0;
};

// Next frame with data; false when the peer is done. Pings are answered on the way.
bool receive(End& end, Frame& frame, bool& idle) {
  frame.payload.resize(0, false);
  idle = false;
  const int bytes = end.socket.receiveFrame(frame.payload, frame.flags);
  if (bytes <= 0 && frame.flags == 0) return false;
  switch (frame.flags & WebSocket::FRAME_OP_BITMASK) {
    case WebSocket::FRAME_OP_CLOSE:
      return false;
    case WebSocket::FRAME_OP_PING:
      end.send(frame.payload.begin(), bytes, static_cast<int>(WebSocket::FRAME_FLAG_FIN) | WebSocket::FRAME_OP_PONG);
      idle = true;
      return true;
    case WebSocket::FRAME_OP_PONG:
      idle = true;
      return true;
    default:
      return true;
  }
}

bool pass(End& to, const Frame& frame) {
  try {
    to.send(frame.payload.begin(), static_cast<int>(frame.payload.size()), frame.flags);
    return true;
  } catch (const Poco::Exception&) {
    return false;
  }
}

// How the command ended, or why there was none: nothing comes after it. Of a node's control messages only these have
// such a word.
bool isLast(const Frame& frame) {
  if (frame.payload.size() < 1 || frame.payload[0] != static_cast<char>(model::Channel::control)) return false;
  const std::string_view text(frame.payload.begin(), frame.payload.size());
  return text.find("\"exit\"") != std::string_view::npos || text.find("\"error\"") != std::string_view::npos;
}

// What both directions of a relay share.
struct Course {
  const std::function<std::string()>& over;
  std::atomic<bool> done{false};
  std::atomic<bool> saidLast{false};  // the node's last word is on its way to the client
};

// Until `from` is done or the session is; true when it was `from`.
bool carry(End& from, End& to, Course& course, WhenDeaf whenDeaf) {
  try {
    Frame frame;
    while (!course.done && course.over().empty()) {
      if (!readable(from.socket, kTick)) continue;
      bool idle = false;
      if (!receive(from, frame, idle)) return course.done = true;
      if (idle) continue;
      if (whenDeaf == WhenDeaf::endSession && isLast(frame)) course.saidLast = true;
      if (pass(to, frame)) continue;
      if (whenDeaf == WhenDeaf::endDirection) return false;
      break;
    }
  } catch (const Poco::Exception&) {
    return course.done = true;  // the connection broke, which ends the session like an orderly close does
  }
  course.done = true;
  return false;
}

// `why` needs no escapes.
void tell(End& end, std::string_view why) {
  const std::string message =
      std::string(1, static_cast<char>(model::Channel::control)) + "{\"error\":\"" + std::string(why) + "\"}";
  try {
    end.send(message.data(), static_cast<int>(message.size()), WebSocket::FRAME_BINARY);
  } catch (const Poco::Exception&) {
    // Gone already.
  }
}

void closeQuietly(End& end) {
  try {
    const std::scoped_lock lock(end.sending);
    end.socket.shutdown();
  } catch (const Poco::Exception&) {
    // Gone already.
  }
}

// What a peer sends is taken until it closes too: a socket that is closed over unread bytes resets the connection, and
// with it goes what the peer has not read yet.
void linger(End& end) {
  const auto until = Clock::now() + kLinger;
  try {
    Frame frame;
    bool idle = false;
    do {
      const auto left = std::chrono::duration_cast<std::chrono::microseconds>(until - Clock::now()).count();
      if (left <= 0 || !readable(end.socket, Poco::Timespan(left))) return;
    } while (receive(end, frame, idle));
  } catch (const Poco::Exception&) {
    // Gone already.
  }
}

void prepare(WebSocket& socket) {
  socket.setMaxPayloadSize(kMaxFrameBytes);
  socket.setSendTimeout(kSendTimeout);
  socket.setReceiveTimeout(kReceiveTimeout);
}

void watchHost(WebSocket& client) {
  client.setKeepAlive(true);
  client.setOption(IPPROTO_TCP, TCP_KEEPIDLE, kProbeAfterSeconds);
  client.setOption(IPPROTO_TCP, TCP_KEEPINTVL, kProbeEverySeconds);
  client.setOption(IPPROTO_TCP, TCP_KEEPCNT, kProbes);
}

}  // namespace

void relay(WebSocket& client, WebSocket& node, const std::function<std::string()>& over) {
  prepare(client);
  prepare(node);
  watchHost(client);
  End clientEnd{client, {}};
  End nodeEnd{node, {}};
  Course course{over};
  std::atomic<bool> nodeLeft{false};
  std::thread down([&] {
    nodeLeft = carry(nodeEnd, clientEnd, course, WhenDeaf::endSession);
    // The other direction may wait in a send to a node that reads nothing.
    if (!over().empty()) streams::cutOff(node.impl()->sockfd());
  });
  const bool clientLeft = carry(clientEnd, nodeEnd, course, WhenDeaf::endDirection);
  down.join();
  const auto why = over();
  if (!clientLeft && !course.saidLast) {
    if (!why.empty()) {
      tell(clientEnd, why);
    } else if (nodeLeft) {
      tell(clientEnd, kNodeGone);
    }
  }
  closeQuietly(nodeEnd);
  closeQuietly(clientEnd);
  if (!clientLeft && why.empty()) linger(clientEnd);
}

bool peerGone(Poco::Net::StreamSocket& socket) {
  try {
    return socket.poll(Poco::Timespan(0), Socket::SELECT_READ) && socket.available() == 0;
  } catch (const Poco::Exception&) {
    return true;
  }
}

void collect(std::vector<std::unique_ptr<WebSocket>>& nodes, Poco::Net::StreamSocket& client,
             const std::function<bool()>& over, const std::function<bool(const std::string&)>& sink) {
  for (auto& node : nodes) prepare(*node);
  auto lastSent = Clock::now();
  while (!nodes.empty() && !over() && !peerGone(client)) {
    const Poco::Timespan share(0, std::max<long>(1'000, 250'000 / static_cast<long>(nodes.size())));
    for (auto node = nodes.begin(); node != nodes.end();) {
      bool open = true;
      try {
        // Drain what is there before looking at the next node.
        for (int burst = 0; open && burst < 1'000 && readable(**node, burst == 0 ? share : Poco::Timespan(0));
             ++burst) {
          End end{**node, {}};
          Frame frame;
          bool idle = false;
          open = receive(end, frame, idle);
          if (!open || idle || frame.payload.size() < 2 || frame.payload[0] != 1) continue;
          if (!sink(std::string(frame.payload.begin() + 1, frame.payload.size() - 1))) return;
          lastSent = Clock::now();
        }
      } catch (const Poco::Exception&) {
        open = false;
      }
      node = open ? std::next(node) : nodes.erase(node);
    }
    if (Clock::now() - lastSent > kHeartbeat) {
      if (!sink({})) return;
      lastSent = Clock::now();
    }
  }
}

}  // namespace cloister::api
