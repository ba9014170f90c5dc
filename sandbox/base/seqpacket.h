// SOCK_SEQPACKET Unix sockets: one datagram is one message, descriptors ride along, the peer's identity is the kernel's
// word.
//
// Threads: reentrant; a socket belongs to one thread at a time. Failures: Error{stage "seqpacket", operation, path,
// errno}. A datagram that was cut (MSG_TRUNC), or whose descriptors were (MSG_CTRUNC), is EMSGSIZE and its descriptors
// are closed.
#pragma once

#include <sys/socket.h>
#include <sys/types.h>

#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "sandbox/base/result.h"
#include "sandbox/base/unique_fd.h"

namespace cloister::seqpacket {

inline constexpr std::size_t kMostDescriptors = 253;  // SCM_MAX_FD of Linux

struct Message {
  std::string bytes;  // empty: the peer closed
  std::vector<UniqueFd> descriptors;
};

[[nodiscard]] Result<UniqueFd> connect(std::string_view path);
// Replaces a stale socket at `path`.
[[nodiscard]] Result<UniqueFd> listen(std::string_view path, mode_t mode);
[[nodiscard]] Result<UniqueFd> accept(int listener);
[[nodiscard]] Result<std::pair<UniqueFd, UniqueFd>> pair();
// The numbers of descriptors that stay with their owner, as send() takes them.
[[nodiscard]] std::vector<int> numbers(const std::vector<UniqueFd>& descriptors);
[[nodiscard]] Status send(int socket, std::string_view bytes, std::span<const int> descriptors);
// One datagram of at most wire::kMaxMessage bytes. Descriptors arrive close-on-exec.
[[nodiscard]] Result<Message> receive(int socket);
[[nodiscard]] Result<ucred> peer(int socket);

}  // namespace cloister::seqpacket
