#include "sandbox/network/netlink_socket.h"

#include <linux/netlink.h>
#include <sys/socket.h>

#include <cerrno>
#include <cstring>
#include <memory>

namespace cloister::network {
namespace {

// A datagram of a dump is at most 32 KiB; a batch goes to the kernel in one.
constexpr std::size_t kReceive = 64U << 10U;  // never set to zero: an answer fills one page of it
constexpr int kSendBuffer = 16 << 20;
constexpr int kReceiveBuffer = 4 << 20;

struct Parsed {
  nlmsghdr header{};
  std::string_view payload;
};

// Takes the first message off `bytes`; false when none fits.
bool takeMessage(std::string_view& bytes, Parsed& message) {
  if (bytes.size() < sizeof message.header) return false;
  std::memcpy(&message.header, bytes.data(), sizeof message.header);
  if (message.header.nlmsg_len < sizeof message.header || message.header.nlmsg_len > bytes.size()) return false;
  message.payload = bytes.substr(sizeof message.header, message.header.nlmsg_len - sizeof message.header);
  const std::size_t step = (message.header.nlmsg_len + 3U) & ~3U;
  bytes.remove_prefix(step < bytes.size() ? step : bytes.size());
  return true;
}

// errno of an NLMSG_ERROR or NLMSG_DONE: 0 is an acknowledgement.
int codeOf(const Parsed& message) {
  std::int32_t code = -EPROTO;
  if (message.payload.size() >= sizeof code) std::memcpy(&code, message.payload.data(), sizeof code);
  return -code;
}

}  // namespace

Error failure(std::string_view operation, std::string_view object, int code) {
  return Error{"network", std::string(operation), std::string(object), code};
}

Result<Socket> Socket::open(int protocol) {
  UniqueFd fd(::socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, protocol));
  if (!fd) return failure("socket", "netlink", errno);
  const int on = 1;
  // Answers without a copy of the request; old kernels send the copy, which is read over.
  (void)::setsockopt(fd.get(), SOL_NETLINK, NETLINK_CAP_ACK, &on, sizeof on);
  (void)::setsockopt(fd.get(), SOL_SOCKET, SO_SNDBUFFORCE, &kSendBuffer, sizeof kSendBuffer);
  (void)::setsockopt(fd.get(), SOL_SOCKET, SO_RCVBUFFORCE, &kReceiveBuffer, sizeof kReceiveBuffer);
  sockaddr_nl self{};
  self.nl_family = AF_NETLINK;
  if (::bind(fd.get(), reinterpret_cast<const sockaddr*>(&self), sizeof self) != 0) {
    return failure("bind", "netlink", errno);
  }
  return Socket(std::move(fd));
}

void Socket::drain() const {
  char rest = 0;  // of a datagram only so much is copied, the rest goes with it
  while (::recv(fd_.get(), &rest, sizeof rest, MSG_DONTWAIT) > 0) {
  }
}

Status Socket::transmit(Batch& batch, std::string_view object) const {
  batch.end();
  sockaddr_nl kernel{};
  kernel.nl_family = AF_NETLINK;
  const std::string& bytes = batch.bytes();
  ssize_t sent = -1;
  do {
    sent =
        ::sendto(fd_.get(), bytes.data(), bytes.size(), 0, reinterpret_cast<const sockaddr*>(&kernel), sizeof kernel);
  } while (sent < 0 && errno == EINTR);
  if (sent < 0) return failure(std::string("send: ") + batch.label(1), object, errno);
  return {};
}

Status Socket::send(Batch& batch, std::string_view object, const Handler& handler) {
  drain();
  if (auto sent = transmit(batch, object); !sent) return sent;
  Status first;
  bool lastSeen = batch.lastAcknowledged() == 0;
  const auto buffer = std::make_unique_for_overwrite<char[]>(kReceive);
  for (;;) {
    const ssize_t got = ::recv(fd_.get(), buffer.get(), kReceive, MSG_DONTWAIT);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0 && errno == EAGAIN) break;
    if (got < 0) return failure("receive", object, errno);
    std::string_view rest(buffer.get(), static_cast<std::size_t>(got));
    Parsed message;
    while (takeMessage(rest, message)) {
      if (message.header.nlmsg_type != NLMSG_ERROR) {
        if (handler) handler(message.header.nlmsg_type, message.payload);
        continue;
      }
      const int code = codeOf(message);
      if (code != 0 && first) first = failure(batch.label(message.header.nlmsg_seq), object, code);
      if (message.header.nlmsg_seq == batch.lastAcknowledged()) lastSeen = true;
    }
  }
  if (first && !lastSeen) return failure(batch.label(batch.lastAcknowledged()), object, EPROTO);
  return first;
}

Status Socket::dump(Batch& request, std::string_view object, const Handler& handler) {
  drain();
  if (auto sent = transmit(request, object); !sent) return sent;
  bool interrupted = false;
  const auto buffer = std::make_unique_for_overwrite<char[]>(kReceive);
  for (;;) {
    const ssize_t got = ::recv(fd_.get(), buffer.get(), kReceive, 0);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return failure(request.label(1), object, errno);
    std::string_view rest(buffer.get(), static_cast<std::size_t>(got));
    Parsed message;
    while (takeMessage(rest, message)) {
      if ((message.header.nlmsg_flags & NLM_F_DUMP_INTR) != 0) interrupted = true;
      const bool done = message.header.nlmsg_type == NLMSG_DONE;
      if (!done && message.header.nlmsg_type != NLMSG_ERROR) {
        handler(message.header.nlmsg_type, message.payload);
        continue;
      }
      const int code = message.payload.empty() ? 0 : codeOf(message);
      if (code != 0) return failure(request.label(1), object, code);
      if (interrupted) return failure(request.label(1), object, EAGAIN);
      return {};
    }
  }
}

}  // namespace cloister::network
