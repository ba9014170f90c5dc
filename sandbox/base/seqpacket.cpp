#include "sandbox/base/seqpacket.h"

#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <memory>

#include "sandbox/base/wire.h"

namespace cloister::seqpacket {
namespace {

constexpr std::string_view kStage = "seqpacket";
// The kernel's own accounting of a datagram is larger than its bytes.
constexpr int kBuffer = 4 * static_cast<int>(wire::kMaxMessage);

Result<sockaddr_un> addressOf(std::string_view path) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  if (path.empty() || path.size() >= sizeof address.sun_path) {
    return Error{std::string(kStage), "address", std::string(path), ENAMETOOLONG};
  }
  std::memcpy(address.sun_path, path.data(), path.size());
  return address;
}

void widen(int socket) {
  // Best effort: without it, messages near the limit fail with EMSGSIZE and are refused as such.
  (void)::setsockopt(socket, SOL_SOCKET, SO_SNDBUF, &kBuffer, sizeof kBuffer);
  (void)::setsockopt(socket, SOL_SOCKET, SO_RCVBUF, &kBuffer, sizeof kBuffer);
}

Result<UniqueFd> make(std::string_view path) {
  UniqueFd socket(::socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0));
  if (!socket) return errnoError(kStage, "socket", path);
  widen(socket.get());
  return socket;
}

}  // namespace

Result<UniqueFd> connect(std::string_view path) {
  auto address = addressOf(path);
  if (!address) return address.error();
  auto socket = make(path);
  if (!socket) return socket;
  if (::connect(socket->get(), reinterpret_cast<const sockaddr*>(&*address), sizeof(sockaddr_un)) != 0) {
    return errnoError(kStage, "connect", path);
  }
  return socket;
}

Result<UniqueFd> listen(std::string_view path, mode_t mode) {
  auto address = addressOf(path);
  if (!address) return address.error();
  auto socket = make(path);
  if (!socket) return socket;
  if (::unlink(address->sun_path) != 0 && errno != ENOENT) return errnoError(kStage, "unlink", path);
  // Closed to all until its mode is set.
  const mode_t before = ::umask(0777);
  const int bound = ::bind(socket->get(), reinterpret_cast<const sockaddr*>(&*address), sizeof(sockaddr_un));
  ::umask(before);
  if (bound != 0) return errnoError(kStage, "bind", path);
  if (::chmod(address->sun_path, mode) != 0) return errnoError(kStage, "chmod", path);
  if (::listen(socket->get(), 64) != 0) return errnoError(kStage, "listen", path);
  return socket;
}

Result<UniqueFd> accept(int listener) {
  UniqueFd socket(::accept4(listener, nullptr, nullptr, SOCK_CLOEXEC));
  if (!socket) return errnoError(kStage, "accept");
  widen(socket.get());
  return socket;
}

Result<std::pair<UniqueFd, UniqueFd>> pair() {
  std::array<int, 2> ends{};
  if (::socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends.data()) != 0)
    return errnoError(kStage, "socketpair");
  return std::pair(UniqueFd(ends[0]), UniqueFd(ends[1]));
}

std::vector<int> numbers(const std::vector<UniqueFd>& descriptors) {
  std::vector<int> list;
  list.reserve(descriptors.size());
  for (const auto& descriptor : descriptors) list.push_back(descriptor.get());
  return list;
}

Status send(int socket, std::string_view bytes, std::span<const int> descriptors) {
  if (bytes.empty() || bytes.size() > wire::kMaxMessage || descriptors.size() > kMostDescriptors) {
    return Error{std::string(kStage), "send", "", EMSGSIZE};
  }
  iovec part{const_cast<char*>(bytes.data()), bytes.size()};
  msghdr message{};
  message.msg_iov = &part;
  message.msg_iovlen = 1;
  alignas(cmsghdr) std::array<char, CMSG_SPACE(kMostDescriptors * sizeof(int))> control{};
  if (!descriptors.empty()) {
    message.msg_control = control.data();
    message.msg_controllen = CMSG_SPACE(descriptors.size_bytes());
    cmsghdr* header = CMSG_FIRSTHDR(&message);
    header->cmsg_level = SOL_SOCKET;
    header->cmsg_type = SCM_RIGHTS;
    header->cmsg_len = CMSG_LEN(descriptors.size_bytes());
    std::memcpy(CMSG_DATA(header), descriptors.data(), descriptors.size_bytes());
  }
  ssize_t sent = -1;
  do {
    sent = ::sendmsg(socket, &message, MSG_NOSIGNAL);
  } while (sent < 0 && errno == EINTR);
  if (sent < 0) return errnoError(kStage, "sendmsg");
  return {};
}

Result<Message> receive(int socket) {
  Message result;
  // Not set to zero, and not handed on: a message is a few hundred bytes, its most would be touched page by page here
  // and again in each process that is cloned while the message is there.
  const auto buffer = std::make_unique_for_overwrite<char[]>(wire::kMaxMessage);
  iovec part{buffer.get(), wire::kMaxMessage};
  msghdr message{};
  message.msg_iov = &part;
  message.msg_iovlen = 1;
  alignas(cmsghdr) std::array<char, CMSG_SPACE(kMostDescriptors * sizeof(int))> control{};
  message.msg_control = control.data();
  message.msg_controllen = control.size();
  ssize_t got = -1;
  do {
    got = ::recvmsg(socket, &message, MSG_CMSG_CLOEXEC);
  } while (got < 0 && errno == EINTR);
  if (got < 0) return errnoError(kStage, "recvmsg");
  for (cmsghdr* header = CMSG_FIRSTHDR(&message); header != nullptr; header = CMSG_NXTHDR(&message, header)) {
    if (header->cmsg_level != SOL_SOCKET || header->cmsg_type != SCM_RIGHTS) continue;
    const std::size_t count = (header->cmsg_len - CMSG_LEN(0)) / sizeof(int);
    for (std::size_t i = 0; i < count; ++i) {
      int fd = -1;
      std::memcpy(&fd, CMSG_DATA(header) + i * sizeof(int), sizeof fd);
      result.descriptors.emplace_back(fd);
    }
  }
  if ((message.msg_flags & (MSG_TRUNC | MSG_CTRUNC)) != 0) return Error{std::string(kStage), "recvmsg", "", EMSGSIZE};
  result.bytes.assign(buffer.get(), static_cast<std::size_t>(got));
  return result;
}

Result<ucred> peer(int socket) {
  ucred identity{};
  socklen_t size = sizeof identity;
  if (::getsockopt(socket, SOL_SOCKET, SO_PEERCRED, &identity, &size) != 0) return errnoError(kStage, "SO_PEERCRED");
  return identity;
}

}  // namespace cloister::seqpacket
