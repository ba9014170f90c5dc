// A request that waits: for its child to become the app, or for killed processes to go. Others are served meanwhile.
//
// The server polls wait() and calls advance() when the descriptor is ready or the time has come; the first answer ends
// the request. An implementation never blocks, and what it holds is released by its destructor.
// Threads: the launcher's one. Failures: they are answers.
#pragma once

#include <poll.h>

#include <chrono>
#include <memory>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "sandbox/base/launcher_protocol.h"
#include "sandbox/base/unique_fd.h"

namespace cloister::launcher {

struct Answer {
  std::string bytes;  // empty: what came was no request, and its session ends
  std::vector<UniqueFd> descriptors;
};

class Pending {
 public:
  using Clock = std::chrono::steady_clock;
  struct Wait {
    int descriptor = -1;  // -1: for the time alone
    short events = POLLIN;
    Clock::time_point until;
  };

  Pending() = default;
  virtual ~Pending() = default;
  Pending(const Pending&) = delete;
  Pending& operator=(const Pending&) = delete;

  [[nodiscard]] virtual Wait wait() const = 0;
  [[nodiscard]] virtual std::optional<Answer> advance() = 0;
};

// The answer, or what leads to it.
using Outcome = std::variant<Answer, std::unique_ptr<Pending>>;

inline Answer answerOf(const Status& done) {
  return {done ? encodeDone() : encodeFailure(done.error()), {}};
}

}  // namespace cloister::launcher
