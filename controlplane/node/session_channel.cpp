#include "controlplane/node/session_channel.h"

#include <Poco/Buffer.h>
#include <Poco/Exception.h>
#include <Poco/JSON/Object.h>
#include <Poco/JSON/Parser.h>
#include <Poco/Net/NetException.h>
#include <Poco/Net/SocketImpl.h>
#include <Poco/Net/WebSocket.h>
#include <spdlog/spdlog.h>

#include <chrono>
#include <sstream>

#include "sandbox/base/utf8.h"

namespace cloister::node {
namespace {

using Poco::Net::WebSocket;

constexpr std::chrono::seconds kLinger{2};
const Poco::Timespan kLingerTick(1, 0);
const Poco::Timespan kReceivePatience(30, 0);  // for the rest of a frame that has begun
const Poco::Timespan kSendPatience(300, 0);    // with a client that grants nothing and does not read

std::string stringify(const Poco::JSON::Object& object) {
  std::ostringstream out;
  object.stringify(out);
  return utf8::jsonText(out.str());
}

Frame parseControl(const std::string& text) {
  Frame frame;
  const auto object = Poco::JSON::Parser().parse(text).extract<Poco::JSON::Object::Ptr>();
  if (object->optValue("start", false)) {
    frame.kind = Frame::Kind::start;
  } else if (object->has("more")) {
    frame.bytes = object->getValue<Poco::UInt64>("more");
    frame.kind = Frame::Kind::more;
  } else if (object->has("resize")) {
    const auto size = object->getObject("resize");
    if (size.isNull()) return frame;
    frame.kind = Frame::Kind::resize;
    frame.size = {size->getValue<Poco::UInt16>("rows"), size->getValue<Poco::UInt16>("columns")};
  } else if (object->optValue("stdinClosed", false)) {
    frame.kind = Frame::Kind::inputClosed;
  }
  return frame;
}

}  // namespace

Frame parseFrame(std::string_view message) {
  Frame frame;
  if (message.empty()) return frame;
  const auto channel = static_cast<Channel>(message[0]);
  message.remove_prefix(1);
  if (channel == Channel::input || channel == Channel::argument) {
    frame.kind = channel == Channel::input ? Frame::Kind::input : Frame::Kind::argument;
    frame.data = message;
  } else if (channel == Channel::control) {
    try {
      return parseControl(std::string(message));
    } catch (const Poco::Exception& error) {
      spdlog::debug("session control: {}", error.displayText());
    }
  }
  return frame;
}

std::string exitMessage(int code, const std::string& notice) {
  Poco::JSON::Object object;
  object.set("exit", code);
  if (!notice.empty()) object.set("notice", notice);
  return stringify(object);
}

std::string errorMessage(const std::string& text) {
  Poco::JSON::Object object;
  object.set("error", text);
  return stringify(object);
}

std::string refusalMessage(int code, const std::string& text) {
  Poco::JSON::Object object;
  object.set("exit", code);
  object.set("error", text);
  return stringify(object);
}

std::string moreMessage(std::uint64_t bytes) {
  return "{\"more\":" + std::to_string(bytes) + "}";
}

std::string inputClosedMessage() {
  return R"({"stdinClosed":true})";
}

SessionChannel::SessionChannel(std::unique_ptr<WebSocket> socket) : socket_(std::move(socket)) {
  socket_->setReceiveTimeout(kReceivePatience);
  socket_->setSendTimeout(kSendPatience);
}

SessionChannel::~SessionChannel() = default;

int SessionChannel::fd() const {
  return socket_->impl()->sockfd();
}

bool SessionChannel::buffered() const {
  try {
    return open_ && socket_->available() > 0;
  } catch (const Poco::Exception&) {
    return false;
  }
}

Frame SessionChannel::receive() {
  Frame closed;
  closed.kind = Frame::Kind::closed;
  if (!open_) return closed;
  try {
    Poco::Buffer<char> buffer(0);
    int flags = 0;
    const int got = socket_->receiveFrame(buffer, flags);
    const int operation = flags & WebSocket::FRAME_OP_BITMASK;
    if ((got <= 0 && flags == 0) || operation == WebSocket::FRAME_OP_CLOSE) {
      open_ = false;
      return closed;
    }
    if (operation == WebSocket::FRAME_OP_PING) {
      socket_->sendFrame(buffer.begin(), got, WebSocket::FRAME_FLAG_FIN | static_cast<int>(WebSocket::FRAME_OP_PONG));
      return {};
    }
    if (operation == WebSocket::FRAME_OP_PONG) return {};
    return parseFrame(std::string_view(buffer.begin(), static_cast<std::size_t>(got)));
  } catch (const Poco::Exception& error) {
    spdlog::debug("session: {}", error.displayText());
    open_ = false;
    return closed;
  }
}

bool SessionChannel::send(Channel channel, std::string_view data) {
  if (!open_) return false;
  std::string message(1, static_cast<char>(channel));
  message += data;
  try {
    socket_->sendFrame(message.data(), static_cast<int>(message.size()), WebSocket::FRAME_BINARY);
  } catch (const Poco::Exception& error) {
    spdlog::debug("session: {}", error.displayText());
    open_ = false;
  }
  return open_;
}

void SessionChannel::close() {
  if (!open_) return;
  open_ = false;
  try {
    socket_->shutdown();
    // Closed over unread frames, a TCP connection would be reset, and what was said last be lost on the way.
    const auto until = std::chrono::steady_clock::now() + kLinger;
    Poco::Buffer<char> buffer(0);
    int flags = 0;
    while (std::chrono::steady_clock::now() < until && socket_->poll(kLingerTick, Poco::Net::Socket::SELECT_READ)) {
      buffer.resize(0, false);
      const int got = socket_->receiveFrame(buffer, flags);
      if ((got <= 0 && flags == 0) || (flags & WebSocket::FRAME_OP_BITMASK) == WebSocket::FRAME_OP_CLOSE) break;
    }
    socket_->close();
  } catch (const Poco::Exception& error) {
    spdlog::debug("session: {}", error.displayText());
  }
}

}  // namespace cloister::node
