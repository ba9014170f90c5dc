// A netlink socket, bound to the network namespace of the thread that opened it.
//
// The kernel works on a request inside sendmsg(2): every acknowledgement is in the receive queue when it returns.
// Threads: not shared. Failures: Error{stage "network", operation, object, errno}; the operation is the label of the
// message that failed, and the first failure of a batch is the one reported.
#pragma once

#include <functional>
#include <string_view>

#include "sandbox/base/result.h"
#include "sandbox/base/unique_fd.h"
#include "sandbox/network/message.h"

namespace cloister::network {

[[nodiscard]] Error failure(std::string_view operation, std::string_view object, int code);

class Socket {
 public:
  // NETLINK_ROUTE or NETLINK_NETFILTER.
  [[nodiscard]] static Result<Socket> open(int protocol);

  // Gets every data message of an answer: its type, its payload behind the netlink header.
  using Handler = std::function<void(std::uint16_t type, std::string_view payload)>;

  // Sends messages that carry NLM_F_ACK; data answers go to `handler`. `object` names what it is about.
  [[nodiscard]] Status send(Batch& batch, std::string_view object, const Handler& handler = {});
  // Sends one dump request and hands over all of its answer. EAGAIN when the kernel's table changed meanwhile.
  [[nodiscard]] Status dump(Batch& request, std::string_view object, const Handler& handler);

 private:
  explicit Socket(UniqueFd fd) : fd_(std::move(fd)) {}
  [[nodiscard]] Status transmit(Batch& batch, std::string_view object) const;
  void drain() const;
  UniqueFd fd_;
};

}  // namespace cloister::network
