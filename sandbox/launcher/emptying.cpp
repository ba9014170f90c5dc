#include "sandbox/launcher/emptying.h"

#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <utility>

namespace cloister::launcher {
namespace {

constexpr std::chrono::seconds kPatience{5};
// A group may count a process for a moment after its last one has gone, and then no event comes: look again, soon
// first.
constexpr std::chrono::milliseconds kFirstPause{1};
constexpr std::chrono::milliseconds kLongestPause{64};

class Emptying final : public Pending {
 public:
  Emptying(std::string what, UniqueFd events, std::function<Result<bool>()> attempt, std::function<Status()> release)
      : what_(std::move(what)),
        events_(std::move(events)),
        attempt_(std::move(attempt)),
        release_(std::move(release)) {}

  [[nodiscard]] Wait wait() const override { return {events_.get(), POLLPRI, std::min(retry_, deadline_)}; }

  [[nodiscard]] std::optional<Answer> advance() override {
    // Read before the question: a change after it wakes the poll.
    std::array<char, 128> events{};
    const ssize_t read = events_ ? ::pread(events_.get(), events.data(), events.size(), 0) : 0;
    if (read < 0 && errno != ENODEV) return answerOf(errnoError("remove", "read events", what_));
    auto gone = attempt_();
    if (!gone) return answerOf(gone.error());
    if (*gone) return answerOf(release_());
    const auto now = Clock::now();
    if (now >= deadline_) return answerOf(Error{"remove", "wait until empty", what_, ETIMEDOUT});
    retry_ = now + pause_;
    pause_ = std::min(pause_ * 2, kLongestPause);
    return std::nullopt;
  }

 private:
  std::string what_;
  UniqueFd events_;
  std::function<Result<bool>()> attempt_;
  std::function<Status()> release_;
  Clock::time_point deadline_ = Clock::now() + kPatience;
  Clock::time_point retry_ = deadline_;
  std::chrono::milliseconds pause_ = kFirstPause;
};

}  // namespace

Outcome empty(std::string what, UniqueFd events, std::function<Result<bool>()> attempt,
              std::function<Status()> release) {
  auto emptying =
      std::make_unique<Emptying>(std::move(what), std::move(events), std::move(attempt), std::move(release));
  if (auto answer = emptying->advance()) return std::move(*answer);
  return std::unique_ptr<Pending>(std::move(emptying));
}

}  // namespace cloister::launcher
