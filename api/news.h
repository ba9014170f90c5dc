// News: what was said a short while ago is not said again; for reasons that a log would have with every request.
//
// Threads: any. Failures: none.
#pragma once

#include <chrono>
#include <mutex>
#include <string>

namespace cloister::api {

class News {
 public:
  using Clock = std::chrono::steady_clock;
  static constexpr std::chrono::minutes kStale{10};

  // False: `text` is what was new last, less than ten minutes ago.
  [[nodiscard]] bool isNew(const std::string& text, Clock::time_point now = Clock::now()) {
    const std::scoped_lock lock(mutex_);
    if (text == text_ && now - at_ < kStale) return false;
    text_ = text;
    at_ = now;
    return true;
  }

 private:
  std::mutex mutex_;
  std::string text_;
  Clock::time_point at_;
};

}  // namespace cloister::api
