#include "api/connection.h"

#include <Poco/Exception.h>
#include <Poco/Net/NetException.h>
#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>

namespace cloister::api {
namespace {

constexpr std::size_t kPiece = 16UL * 1024;
constexpr long kSendSeconds = 30;

}  // namespace

Connection::Connection(int fd, std::string source) : StreamSocketImpl(fd), source_(std::move(source)) {
  const timeval wait{kSendSeconds, 0};
  (void)::setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &wait, sizeof wait);
}

Connection::~Connection() = default;

void Connection::resetAtEnd() {
  const linger none{1, 0};
  (void)::setsockopt(sockfd(), SOL_SOCKET, SO_LINGER, &none, sizeof none);
}

Connection::Fill Connection::fill(std::size_t most) {
  std::array<char, kPiece> piece{};
  while (input_.size() - inputAt_ < most) {
    const auto got = ::recv(sockfd(), piece.data(), piece.size(), MSG_DONTWAIT);
    if (got == 0) return Fill::ended;
    if (got < 0) {
      if (errno == EINTR) continue;
      return errno == EAGAIN ? Fill::more : Fill::ended;
    }
    input_.append(piece.data(), static_cast<std::size_t>(got));
    if (static_cast<std::size_t>(got) < piece.size()) return Fill::more;
  }
  return Fill::full;
}

HeadState Connection::readHead() {
  const auto state = reader_.read(rest());
  if (state == HeadState::whole) {
    inputAt_ += reader_.head().taken;
    aheadAt_ = inputAt_;
    ahead_ = BodyFraming(reader_.head());
    beginRequest();
  }
  return state;
}

bool Connection::bodyIsThere(std::uint64_t most) {
  aheadAt_ += ahead_.take(std::string_view(input_).substr(aheadAt_));
  return ahead_.ended() || !ahead_.fault().empty() || ahead_.content() > most;
}

bool Connection::bodyIsWhole() {
  return bodyIsThere(UINT64_MAX) && ahead_.ended();
}

void Connection::beginRequest() {
  headAt_ = 0;
  framing_ = BodyFraming(reader_.head());
  bodySince_ = Clock::now();
  bodyBytes_ = 0;
}

bool Connection::bodyIsRead() {
  inputAt_ += framing_.take(rest());
  return framing_.ended() && !reader_.head().upgrade;
}

bool Connection::endRequest() {
  if (!bodyIsRead()) return false;
  direct_ = false;
  input_.erase(0, inputAt_);
  input_.shrink_to_fit();
  inputAt_ = 0;
  reader_ = HeadReader();
  judged = false;
  awaited = false;
  return true;
}

std::string Connection::bodyFault() const {
  if (!framing_.fault().empty()) return framing_.fault();
  return framing_.ended() ? "" : "the body ended before its end was said";
}

void Connection::goDirect() {
  if (direct_) return;
  direct_ = true;
  while (!flushed()) {
    const int sent =
        StreamSocketImpl::sendBytes(output_.data() + outputAt_, static_cast<int>(output_.size() - outputAt_));
    outputAt_ += static_cast<std::size_t>(sent);
  }
}

bool Connection::flush() {
  while (!flushed()) {
    const auto sent =
        ::send(sockfd(), output_.data() + outputAt_, output_.size() - outputAt_, MSG_DONTWAIT | MSG_NOSIGNAL);
    if (sent < 0) {
      if (errno == EINTR) continue;
      return errno == EAGAIN;
    }
    outputAt_ += static_cast<std::size_t>(sent);
  }
  output_.clear();
  output_.shrink_to_fit();
  outputAt_ = 0;
  return true;
}

bool Connection::discard() {
  std::array<char, kPiece> sink{};
  for (int pieces = 0; pieces < 64; ++pieces) {
    const auto got = ::recv(sockfd(), sink.data(), sink.size(), MSG_DONTWAIT);
    if (got == 0) return false;
    if (got < 0) return errno == EAGAIN || errno == EINTR;
    discarded_ += static_cast<std::size_t>(got);
  }
  return true;
}

void Connection::closeSending() {
  (void)::shutdown(sockfd(), SHUT_WR);
}

void Connection::hangUp() {
  (void)::shutdown(sockfd(), SHUT_RDWR);
}

int Connection::give(void* buffer, std::size_t length, std::string_view from) {
  const auto bytes = std::min(length, from.size());
  std::memcpy(buffer, from.data(), bytes);
  return static_cast<int>(bytes);
}

// Blocks until there is a byte; bounds how slowly a client may send.
void Connection::awaitBody() {
  const auto elapsed = std::chrono::duration_cast<std::chrono::seconds>(Clock::now() - bodySince_);
  const bool slow =
      elapsed > pace_.whole ||
      (elapsed > pace_.grace && bodyBytes_ < static_cast<std::uint64_t>(elapsed.count()) * pace_.bytesPerSecond);
  if (slow || !poll(Poco::Timespan(pace_.silence.count(), 0), SELECT_READ)) {
    throw Poco::TimeoutException("the body comes too slowly");
  }
}

int Connection::receiveBytes(void* buffer, int length, int flags) {
  const auto room = static_cast<std::size_t>(length);
  const auto& head = reader_.head();
  if (headAt_ < head.bytes.size()) {
    const int given = give(buffer, room, std::string_view(head.bytes).substr(headAt_));
    headAt_ += static_cast<std::size_t>(given);
    return given;
  }
  if (head.upgrade) {
    if (rest().empty()) return StreamSocketImpl::receiveBytes(buffer, length, flags);
    const int given = give(buffer, room, rest());
    inputAt_ += static_cast<std::size_t>(given);
    return given;
  }
  if (framing_.ended()) return 0;
  while (rest().empty()) {
    awaitBody();
    input_.clear();
    inputAt_ = 0;
    if (fill(kPiece) == Fill::ended && rest().empty()) return 0;
  }
  const auto offered = rest().substr(0, room);
  const auto taken = framing_.take(offered);
  if (taken == 0) throw Poco::Net::MessageException(framing_.fault());
  const int given = give(buffer, room, offered.substr(0, taken));
  inputAt_ += taken;
  bodyBytes_ += taken;
  return given;
}

int Connection::sendBytes(const void* buffer, int length, int flags) {
  if (direct_ || reader_.head().upgrade) return StreamSocketImpl::sendBytes(buffer, length, flags);
  output_.append(static_cast<const char*>(buffer), static_cast<std::size_t>(length));
  return length;
}

int Connection::available() {
  const auto kept = rest().size();
  return static_cast<int>(kept) + StreamSocketImpl::available();
}

}  // namespace cloister::api
