// What one caller may take of the server: requests a second, failed logins a minute, and requests that last.
//
// Threads: any. Failures: Problem 429.
#pragma once

#include <chrono>
#include <cstddef>
#include <map>
#include <mutex>
#include <optional>
#include <string>
#include <unordered_map>

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

// Requests a second and a caller, with a stock of `burst` that fills up again.
class RateLimiter {
 public:
  using Clock = std::chrono::steady_clock;
  // perSecond 0: no limit.
  RateLimiter(double perSecond, double burst) : perSecond_(perSecond), burst_(burst) {}
  // Nothing: it may. Otherwise the seconds until the next one may.
  [[nodiscard]] std::optional<std::chrono::seconds> take(const std::string& caller,
                                                         Clock::time_point now = Clock::now());

 private:
  static constexpr std::size_t kMaxCallers = 4096;
  struct Stock {
    double left = 0;
    Clock::time_point at;
  };
  double perSecond_;
  double burst_;
  std::mutex mutex_;
  std::map<std::string, Stock> stocks_;
};

// Who the tokens belong to that were good a short while ago: only to count requests before they are authenticated.
class KnownCallers {
 public:
  using Clock = std::chrono::steady_clock;
  void learn(const std::string& authorization, const std::string& caller, Clock::time_point now = Clock::now());
  // Empty: not known.
  [[nodiscard]] std::string find(const std::string& authorization, Clock::time_point now = Clock::now());

 private:
  static constexpr std::size_t kMost = 16'384;
  static constexpr std::chrono::minutes kKept{10};
  struct Entry {
    std::string caller;
    Clock::time_point at;
  };
  std::mutex mutex_;
  std::unordered_map<std::string, Entry> entries_;  // by digest
};

// Uploads, streams, sessions and waits hold a thread each: at most `most` a key. Whoever takes one becomes a long
// request (workers.h).
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
