#include "api/limits.h"

#include "api/problem.h"

namespace cloister::api {

void FailureLimiter::failed(const std::string& source, Clock::time_point now) {
  const std::scoped_lock lock(mutex_);
  if (now - windowStart_ >= std::chrono::minutes(1) || failures_.size() >= kMaxSources) {
    windowStart_ = now;
    failures_.clear();
  }
  if (++failures_[source] <= perMinute_) return;
  Problem problem(429, "rate_limited", "too many failed authentications from here");
  const auto left = std::chrono::duration_cast<std::chrono::seconds>(windowStart_ + std::chrono::minutes(1) - now);
  problem.headers["Retry-After"] = std::to_string(left.count() + 1);
  throw problem;
}

Slots::Held Slots::take(const std::string& key) {
  const std::scoped_lock lock(mutex_);
  auto& count = taken_[key];
  if (count >= most_) {
    Problem problem(429, "too_many_requests", "too many of these requests are open already: " + std::to_string(most_));
    problem.headers.emplace("Retry-After", "5");
    throw problem;
  }
  ++count;
  return {*this, key};
}

void Slots::give(const std::string& key) {
  const std::scoped_lock lock(mutex_);
  const auto found = taken_.find(key);
  if (found != taken_.end() && --found->second == 0) taken_.erase(found);
}

}  // namespace cloister::api
