// What one caller may take of the server: failed logins a minute, and connections that are held open.
//
// Threads: any. Failures: Problem 429.
#pragma once

#include <chrono>
#include <cstddef>
#include <map>
#include <mutex>
#include <string>

namespace cloister::api {

// Failed authentications by source address. A caller with a good token is never slowed by the failures of others.
class FailureLimiter {
 public:
  using Clock = std::chrono::steady_clock;
  explicit FailureLimiter(std::size_t perMinute = 30) : perMinute_(perMinute) {}
  // Notes one more failure; throws 429 with Retry-After when there were too many in this minute.
  void failed(const std::string& source, Clock::time_point now = Clock::now());

 private:
  static constexpr std::size_t kMaxSources = 4096;
  std::size_t perMinute_;
  std::mutex mutex_;
  Clock::time_point windowStart_{};
  std::map<std::string, std::size_t> failures_;
};

// Uploads, streams, sessions and waits hold a thread each: at most `most` a key.
class Slots {
 public:
  explicit Slots(std::size_t most) : most_(most) {}
  class Held {
   public:
    Held(Slots& slots, std::string key) : slots_(slots), key_(std::move(key)) {}
    ~Held() { slots_.give(key_); }
    Held(const Held&) = delete;
    Held& operator=(const Held&) = delete;

   private:
    Slots& slots_;
    std::string key_;
  };
  // Throws 429 "too_many_requests" when all are taken.
  [[nodiscard]] Held take(const std::string& key);

 private:
  void give(const std::string& key);
  std::size_t most_;
  std::mutex mutex_;
  std::map<std::string, std::size_t> taken_;
};

}  // namespace cloister::api
