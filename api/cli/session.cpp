#include "api/cli/session.h"

#include <Poco/Buffer.h>
#include <Poco/Exception.h>
#include <Poco/JSON/Parser.h>
#include <Poco/Net/HTTPClientSession.h>
#include <Poco/Net/NetException.h>
#include <Poco/Net/WebSocket.h>
#include <fmt/format.h>

#include <optional>
#include <stdexcept>

#include "api/cli/output.h"

namespace cloister::cli {
namespace {

using Poco::Net::WebSocket;

enum Channel : char { kStdin = 0, kStdout = 1, kStderr = 2, kControl = 3 };
constexpr int kLargestFrame = 1 << 20;
constexpr int kPingMillis = 20'000;

void sendFrame(WebSocket& socket, Channel channel, const std::string& payload) {
  const std::string frame = std::string(1, channel) + payload;
  socket.sendFrame(frame.data(), static_cast<int>(frame.size()), WebSocket::FRAME_BINARY);
}

void sendSize(WebSocket& socket, terminal::WindowSize size) {
  sendFrame(socket, kControl, fmt::format(R"({{"resize":{{"rows":{},"columns":{}}}}})", size.rows, size.columns));
}

void show(int fd, std::string_view payload) {
  if (const Status written = terminal::writeOutput(fd, payload); !written) {
    throw std::runtime_error(written.error().message());
  }
}

terminal::CallerTerminal::Wake awaited(const Result<terminal::CallerTerminal::Wake>& wake) {
  if (!wake) throw std::runtime_error(wake.error().message());
  return wake.value();
}

std::optional<int> control(const std::string& payload) {
  const auto message = Poco::JSON::Parser().parse(payload).extract<Poco::JSON::Object::Ptr>();
  if (message->has("error")) throw std::runtime_error(printable(message->getValue<std::string>("error")));
  if (message->has("exit")) return message->getValue<int>("exit");
  return std::nullopt;
}

// Handles one frame; the exit code when it was the last.
std::optional<int> receive(WebSocket& socket, SessionStreams streams) {
  Poco::Buffer<char> buffer(0);
  int flags = 0;
  const int size = socket.receiveFrame(buffer, flags);
  const int opcode = flags & WebSocket::FRAME_OP_BITMASK;
  if (opcode == WebSocket::FRAME_OP_CLOSE || (size <= 0 && flags == 0)) {
    throw std::runtime_error("the connection ended before the command did");
  }
  if (opcode == WebSocket::FRAME_OP_PING) {
    socket.sendFrame(buffer.begin(), size, static_cast<int>(WebSocket::FRAME_FLAG_FIN) | WebSocket::FRAME_OP_PONG);
    return std::nullopt;
  }
  if (opcode == WebSocket::FRAME_OP_PONG || size < 1) return std::nullopt;
  const std::string_view payload(buffer.begin() + 1, static_cast<std::size_t>(size) - 1);
  switch (buffer[0]) {
    case kStdout:
      show(streams.output, payload);
      return std::nullopt;
    case kStderr:
      show(streams.error, payload);
      return std::nullopt;
    case kControl:
      return control(std::string(payload));
    default:
      return std::nullopt;
  }
}

int converse(WebSocket& socket, terminal::Mode mode, SessionStreams streams) {
  auto taken = terminal::CallerTerminal::take(mode);
  if (!taken) throw std::runtime_error(taken.error().message());
  terminal::CallerTerminal& caller = *taken;
  if (mode == terminal::Mode::raw) sendSize(socket, terminal::windowSize(streams.input));
  int input = streams.input;
  while (true) {
    terminal::CallerTerminal::Wake wake;
    // Bytes that Poco already holds do not make the descriptor readable.
    if (socket.available() > 0) {
      wake = awaited(caller.wait(input, -1, 0));
      wake.peer = true;
    } else {
      wake = awaited(caller.wait(input, socket.impl()->sockfd(), kPingMillis));
    }
    if (wake.ended) throw std::runtime_error("interrupted");
    if (wake.peer) {
      if (const auto exit = receive(socket, streams)) return *exit;
    }
    if (wake.resized && mode == terminal::Mode::raw) sendSize(socket, terminal::windowSize(streams.input));
    if (wake.input) {
      const std::string data = terminal::readInput(input);
      if (data.empty()) {
        sendFrame(socket, kControl, R"({"stdinClosed":true})");
        input = -1;
      } else {
        sendFrame(socket, kStdin, data);
      }
    }
    if (!wake.peer && !wake.input && !wake.resized) {
      socket.sendFrame("", 0, static_cast<int>(WebSocket::FRAME_FLAG_FIN) | WebSocket::FRAME_OP_PING);
    }
  }
}

}  // namespace

int runSession(Connection& connection, terminal::Mode mode, SessionStreams streams) {
  WebSocket& socket = *connection.socket;
  socket.setMaxPayloadSize(kLargestFrame);
  socket.setReceiveTimeout(Poco::Timespan(60, 0));
  try {
    const int code = converse(socket, mode, streams);
    return code;
  } catch (const Poco::Exception& error) {
    throw TransportError("the connection ended before the command did: " + error.displayText());
  }
}

}  // namespace cloister::cli
