// Removal: kill, wait until nothing is left, release. See containers.h.
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <chrono>

#include "sandbox/launcher/containers.h"
#include "sandbox/launcher/requests.h"

namespace cloister::launcher {
namespace {

constexpr std::chrono::seconds kPatience{5};  // for killed processes to go
// A group may count a process for a moment after its last one has gone, and then no event comes: look again, soon
// first.
constexpr std::chrono::milliseconds kFirstPause{1};
constexpr std::chrono::milliseconds kLongestPause{64};

}  // namespace

class Containers::Removing final : public Pending {
 public:
  Removing(Containers& owner, std::string instance, Record record, UniqueFd events)
      : owner_(owner), instance_(std::move(instance)), record_(record), events_(std::move(events)) {}

  [[nodiscard]] Wait wait() const override { return {events_.get(), POLLPRI, std::min(retry_, deadline_)}; }

  [[nodiscard]] std::optional<Answer> advance() override {
    // Read before the question: a change after it wakes the poll.
    std::array<char, 128> events{};
    const ssize_t read = events_ ? ::pread(events_.get(), events.data(), events.size(), 0) : 0;
    if (read < 0 && errno != ENODEV) return answerOf(errnoError("remove", "read events", instance_));
    auto gone = owner_.parts_.groups->tryRemoveInstance(record_.tenant, instance_);
    if (!gone) return answerOf(gone.error());
    if (*gone) return answerOf(owner_.release(instance_, record_));
    const auto now = Clock::now();
    if (now >= deadline_) return answerOf(Error{"remove", "wait until empty", instance_, ETIMEDOUT});
    retry_ = now + pause_;
    pause_ = std::min(pause_ * 2, kLongestPause);
    return std::nullopt;
  }

 private:
  Containers& owner_;
  std::string instance_;
  Record record_;
  UniqueFd events_;
  Clock::time_point deadline_ = Clock::now() + kPatience;
  Clock::time_point retry_ = deadline_;
  std::chrono::milliseconds pause_ = kFirstPause;
};

Outcome Containers::remove(const std::string& instance) {
  if (auto good = check(RemoveRequest{instance}); !good) return answerOf(good);
  auto record = readRecord(instance);
  if (!record && record.error().code == ENOENT) return answerOf(forget(instance));
  if (!record) return answerOf(record.error());
  if (auto killed = parts_.groups->kill(record->tenant, instance); !killed && killed.error().code != ENOENT)
    return answerOf(killed);
  auto events = parts_.groups->openEvents(record->tenant, instance);
  if (!events && events.error().code != ENOENT) return answerOf(events.error());
  auto removing = std::make_unique<Removing>(*this, instance, *record, events ? std::move(events).value() : UniqueFd());
  if (auto answer = removing->advance()) return std::move(*answer);
  return std::unique_ptr<Pending>(std::move(removing));
}

Status Containers::release(const std::string& instance, const Record& record) {
  if (record.address != 0) {
    if (auto done = parts_.network->unlink(record.tenant, record.address); !done) return done;
  }
  if (auto done = parts_.uppers->drop(instance); !done) return done;
  return forget(instance);
}

Status Containers::forget(const std::string& instance) {
  if (::unlink((parts_.records + "/" + instance).c_str()) == 0 || errno == ENOENT) return {};
  return errnoError("remove", "unlink", instance);
}

}  // namespace cloister::launcher
