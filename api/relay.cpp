#include "api/relay.h"

#include <Poco/Buffer.h>
#include <Poco/Exception.h>
#include <Poco/Net/StreamSocket.h>
#include <Poco/Net/WebSocket.h>

#include <algorithm>
#include <chrono>
#include <mutex>
#include <thread>

namespace cloister::api {
namespace {

using Poco::Net::Socket;
using Poco::Net::WebSocket;
using Clock = std::chrono::steady_clock;

const Poco::Timespan kTick(0, 250'000);
const Poco::Timespan kSendTimeout(30, 0);
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

// Until `from` is done or the session is; true when it was `from`.
bool carry(End& from, End& to, std::atomic<bool>& done, const std::atomic<bool>& stopping, WhenDeaf whenDeaf) {
  try {
    Frame frame;
    while (!done && !stopping) {
      if (!readable(from.socket, kTick)) continue;
      bool idle = false;
      if (!receive(from, frame, idle)) return done = true;
      if (idle || pass(to, frame)) continue;
      if (whenDeaf == WhenDeaf::endDirection) return false;
      break;
    }
  } catch (const Poco::Exception&) {
    return done = true;  // the connection broke, which ends the session like an orderly close does
  }
  done = true;
  return false;
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
  socket.setReceiveTimeout(kSendTimeout);
}

}  // namespace

void relay(WebSocket& client, WebSocket& node, const std::atomic<bool>& stopping) {
  prepare(client);
  prepare(node);
  End clientEnd{client, {}};
  End nodeEnd{node, {}};
  std::atomic<bool> done{false};
  std::thread down([&] { (void)carry(nodeEnd, clientEnd, done, stopping, WhenDeaf::endSession); });
  const bool clientLeft = carry(clientEnd, nodeEnd, done, stopping, WhenDeaf::endDirection);
  down.join();
  closeQuietly(nodeEnd);
  closeQuietly(clientEnd);
  if (!clientLeft && !stopping) linger(clientEnd);
}

bool peerGone(Poco::Net::StreamSocket& socket) {
  try {
    return socket.poll(Poco::Timespan(0), Socket::SELECT_READ) && socket.available() == 0;
  } catch (const Poco::Exception&) {
    return true;
  }
}

void collect(std::vector<std::unique_ptr<WebSocket>>& nodes, Poco::Net::StreamSocket& client,
             const std::atomic<bool>& stopping, const std::function<bool(const std::string&)>& sink) {
  for (auto& node : nodes) prepare(*node);
  auto lastSent = Clock::now();
  while (!nodes.empty() && !stopping && !peerGone(client)) {
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
