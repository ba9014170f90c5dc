// Poller: one thread waits for many descriptors, and for a knock of other threads.
//
//   Poller poller;                       poller.watch(fd, Interest::read, &connection);
//   for (const auto& ready : poller.wait(1s)) handle(ready.subject);        // elsewhere: poller.knock();
//
// Level-triggered: what is not taken is told again. A descriptor is forgotten before it is closed or lent.
// Threads: one waits and watches; knock() from any. Failures: Error with operation and errno.
#pragma once

#include <sys/socket.h>

#include <chrono>
#include <span>
#include <vector>

#include "sandbox/base/result.h"
#include "sandbox/base/unique_fd.h"

namespace cloister {

enum class Interest { read, write };

class Poller {
 public:
  struct Ready {
    void* subject = nullptr;
    bool broken = false;  // the peer is gone, or the descriptor failed
  };
  [[nodiscard]] static Result<Poller> open();

  [[nodiscard]] Status watch(int fd, Interest interest, void* subject);
  [[nodiscard]] Status change(int fd, Interest interest, void* subject);
  void forget(int fd);
  // What is ready now, at the latest after `most`. A knock ends the wait and is not in the list.
  [[nodiscard]] std::span<const Ready> wait(std::chrono::milliseconds most);
  void knock();

 private:
  Poller(UniqueFd epoll, UniqueFd bell) : epoll_(std::move(epoll)), bell_(std::move(bell)) {}
  UniqueFd epoll_;
  UniqueFd bell_;
  std::vector<Ready> ready_;
};

// A connection that waits at a listening socket which does not block, and where it comes from. EAGAIN when none does.
[[nodiscard]] Result<UniqueFd> acceptWaiting(int listener, sockaddr_storage& source);

}  // namespace cloister
