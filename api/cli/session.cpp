#include "api/cli/session.h"

#include <Poco/Buffer.h>
#include <Poco/Exception.h>
#include <Poco/JSON/Parser.h>
#include <Poco/Net/HTTPClientSession.h>
#include <Poco/Net/NetException.h>
#include <Poco/Net/WebSocket.h>
#include <fmt/format.h>

#include <algorithm>
#include <cerrno>
#include <deque>
#include <optional>
#include <stdexcept>
#include <utility>

#include "api/cli/output.h"
#include "controlplane/model/session_protocol.h"

namespace cloister::cli {
namespace {

using model::Channel;
using Poco::Net::WebSocket;

constexpr int kPingMillis = 20'000;
constexpr std::size_t kInputPiece = 32UL * 1024;
constexpr int kBrokenPipeExit = model::kSignalExit + 13;  // as of a command that SIGPIPE ends

class Conversation {
 public:
  Conversation(WebSocket& socket, terminal::CallerTerminal& caller, terminal::Mode mode, SessionStreams streams)
      : socket_(socket), caller_(caller), mode_(mode), streams_(streams), input_(streams.input) {}

  int hold(const std::vector<std::string>& command) {
    for (const auto& argument : command) send(Channel::argument, argument);
    if (mode_ == terminal::Mode::raw) sendSize();
    send(Channel::control, fmt::format(R"({{"more":{}}})", model::kWindow));
    send(Channel::control, R"({"start":true})");
    while (!over_ || !shown_.empty()) {
      const auto wake = wait();
      if (wake.ended) throw std::runtime_error("interrupted");
      if (wake.peer) receive();
      if (wake.output && !show()) return kBrokenPipeExit;
      if (over_) continue;
      if (wake.resized && mode_ == terminal::Mode::raw) sendSize();
      if (wake.input) sendInput();
      if (!wake.peer && !wake.input && !wake.output && !wake.resized) {
        socket_.sendFrame("", 0, static_cast<int>(WebSocket::FRAME_FLAG_FIN) | WebSocket::FRAME_OP_PING);
      }
    }
    if (!exit_) throw std::runtime_error(remark_);
    return *exit_;
  }

  // Why there was no command that could have ended with hold()'s exit code; else empty.
  [[nodiscard]] const std::string& remark() const { return remark_; }

 private:
  struct Piece {
    int fd = -1;
    std::string bytes;
    std::size_t written = 0;
  };

  void send(Channel channel, std::string_view payload) {
    std::string frame(1, static_cast<char>(channel));
    frame += payload;
    socket_.sendFrame(frame.data(), static_cast<int>(frame.size()), WebSocket::FRAME_BINARY);
  }

  void sendSize() {
    const auto size = terminal::windowSize(streams_.input);
    send(Channel::control, fmt::format(R"({{"resize":{{"rows":{},"columns":{}}}}})", size.rows, size.columns));
  }

  terminal::CallerTerminal::Wake wait() {
    const int output = shown_.empty() ? -1 : shown_.front().fd;
    const int input = granted_ > 0 && !over_ ? input_ : -1;
    // Bytes that Poco already holds do not make the descriptor readable.
    const bool held = !over_ && socket_.available() > 0;
    const int peer = over_ || held ? -1 : socket_.impl()->sockfd();
    auto wake = caller_.wait(input, peer, output, held ? 0 : kPingMillis);
    if (!wake) throw std::runtime_error(wake.error().message());
    wake->peer = wake->peer || held;
    return *wake;
  }

  void receive() {
    Poco::Buffer<char> buffer(0);
    int flags = 0;
    const int size = socket_.receiveFrame(buffer, flags);
    const int opcode = flags & WebSocket::FRAME_OP_BITMASK;
    if (opcode == WebSocket::FRAME_OP_CLOSE || (size <= 0 && flags == 0)) {
      throw std::runtime_error("the connection ended before the command did");
    }
    if (opcode == WebSocket::FRAME_OP_PING) {
      socket_.sendFrame(buffer.begin(), size, static_cast<int>(WebSocket::FRAME_FLAG_FIN) | WebSocket::FRAME_OP_PONG);
      return;
    }
    if (opcode == WebSocket::FRAME_OP_PONG || size < 1) return;
    std::string payload(buffer.begin() + 1, static_cast<std::size_t>(size) - 1);
    switch (static_cast<Channel>(buffer[0])) {
      case Channel::output:
        if (!payload.empty()) shown_.push_back({streams_.output, std::move(payload)});
        return;
      case Channel::errors:
        if (!payload.empty()) shown_.push_back({streams_.error, std::move(payload)});
        return;
      case Channel::control:
        control(payload);
        return;
      case Channel::input:
      case Channel::argument:
        return;
    }
  }

  void control(const std::string& payload) {
    const auto message = Poco::JSON::Parser().parse(payload).extract<Poco::JSON::Object::Ptr>();
    for (const char* said : {"error", "notice"}) {
      if (message->has(said)) remark_ = printable(message->getValue<std::string>(said));
    }
    if (message->has("exit")) exit_ = message->getValue<int>("exit");
    over_ = message->has("error") || message->has("exit");
    if (message->has("more")) granted_ += message->getValue<Poco::UInt64>("more");
    if (message->has("stdinClosed")) input_ = -1;
  }

  // One piece of what came; false when nobody reads it any more.
  bool show() {
    Piece& piece = shown_.front();
    const auto rest = std::string_view(piece.bytes).substr(piece.written, terminal::kOutputPiece);
    if (const Status written = terminal::writeOutput(piece.fd, rest); !written) {
      if (written.error().code == EPIPE) return false;
      throw std::runtime_error(written.error().message());
    }
    piece.written += rest.size();
    owed_ += rest.size();
    if (piece.written == piece.bytes.size()) shown_.pop_front();
    if (!over_ && (shown_.empty() || owed_ >= model::kWindow / 4)) {
      send(Channel::control, fmt::format(R"({{"more":{}}})", std::exchange(owed_, 0)));
    }
    return true;
  }

  void sendInput() {
    const auto data = terminal::readInput(input_, std::min<std::uint64_t>(granted_, kInputPiece));
    if (data.empty()) {
      send(Channel::control, R"({"stdinClosed":true})");
      input_ = -1;
      return;
    }
    granted_ -= data.size();
    send(Channel::input, data);
  }

  WebSocket& socket_;
  terminal::CallerTerminal& caller_;
  terminal::Mode mode_;
  SessionStreams streams_;
  int input_;                  // -1: no more of it
  std::uint64_t granted_ = 0;  // input that may be sent
  std::uint64_t owed_ = 0;     // output that was written and not granted again yet
  std::deque<Piece> shown_;    // output that is still to be written; what was granted at most
  bool over_ = false;
  std::optional<int> exit_;
  std::string remark_;  // why it was not started, or what its exit code does not tell
};

}  // namespace

void checkCommand(const std::vector<std::string>& command) {
  std::size_t bytes = 0;
  for (std::size_t i = 0; i < command.size(); ++i) {
    if (command[i].size() > model::kMostArgumentBytes) {
      throw std::invalid_argument(fmt::format("argument {} of the command is too long: {} bytes, and one may have {}",
                                              i, command[i].size(), model::kMostArgumentBytes));
    }
    bytes += command[i].size() + 1;
  }
  if (bytes > model::kMostCommandBytes) {
    throw std::invalid_argument(
        fmt::format("the command is too long: {} bytes with a zero behind each argument, and it "
                    "may have {}",
                    bytes, model::kMostCommandBytes));
  }
  if (command.size() > model::kMostArguments) {
    throw std::invalid_argument(
        fmt::format("the command has {} arguments, and it may have {}", command.size(), model::kMostArguments));
  }
}

int runSession(Connection& connection, const std::vector<std::string>& command, terminal::Mode mode,
               SessionStreams streams) {
  WebSocket& socket = *connection.socket;
  socket.setMaxPayloadSize(model::kMaxFrameBytes);
  socket.setReceiveTimeout(Poco::Timespan(60, 0));
  int code = 0;
  std::string remark;
  try {
    auto caller = terminal::CallerTerminal::take(mode);
    if (!caller) throw std::runtime_error(caller.error().message());
    Conversation conversation(socket, *caller, mode, streams);
    code = conversation.hold(command);
    remark = conversation.remark();
  } catch (const Poco::Exception& error) {
    throw TransportError("the connection ended before the command did: " + error.displayText());
  }
  // On a terminal that is its owner's again.
  if (!remark.empty()) static_cast<void>(terminal::writeOutput(streams.error, "cloister: " + remark + "\n"));
  return code;
}

}  // namespace cloister::cli
