#include "api/limits.h"

#include <algorithm>
#include <cmath>

#include "api/problem.h"
#include "api/workers.h"
#include "controlplane/store/store.h"

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

std::optional<std::chrono::seconds> RateLimiter::take(const std::string& caller, Clock::time_point now) {
  if (perSecond_ <= 0) return std::nullopt;
  const std::scoped_lock lock(mutex_);
  const auto full = [&](const Stock& stock) {
    return stock.left + std::chrono::duration<double>(now - stock.at).count() * perSecond_ >= burst_;
  };
  if (stocks_.size() >= kMaxCallers) std::erase_if(stocks_, [&](const auto& entry) { return full(entry.second); });
  auto& stock = stocks_.try_emplace(caller, Stock{burst_, now}).first->second;
  const double since = std::chrono::duration<double>(now - stock.at).count();
  stock.left = std::min(burst_, stock.left + since * perSecond_);
  stock.at = now;
  if (stock.left < 1) return std::chrono::seconds(static_cast<long>(std::ceil((1 - stock.left) / perSecond_)));
  stock.left -= 1;
  return std::nullopt;
}

void KnownCallers::learn(const std::string& authorization, const std::string& caller, Clock::time_point now) {
  auto digest = store::sha256(authorization);
  const std::scoped_lock lock(mutex_);
  if (entries_.size() >= kMost) std::erase_if(entries_, [&](auto& entry) { return now - entry.second.at > kKept; });
  if (entries_.size() >= kMost) entries_.clear();
  entries_.insert_or_assign(std::move(digest), Entry{caller, now});
}

std::string KnownCallers::find(const std::string& authorization, Clock::time_point now) {
  if (authorization.empty()) return {};
  const auto digest = store::sha256(authorization);
  const std::scoped_lock lock(mutex_);
  const auto entry = entries_.find(digest);
  return entry == entries_.end() || now - entry->second.at > kKept ? "" : entry->second.caller;
}

Slots::Held Slots::take(const std::string& key) {
  {
    const std::scoped_lock lock(mutex_);
    auto& count = taken_[key];
    if (count >= most_) {
      Problem problem(429, "too_many_requests",
                      "too many of these requests are open already: " + std::to_string(most_));
      problem.headers.emplace("Retry-After", "5");
      throw problem;
    }
    ++count;
  }
  try {
    Workers::becomeLong(key);
  } catch (...) {
    give(key);
    throw;
  }
  return {*this, key};
}

void Slots::give(const std::string& key) {
  const std::scoped_lock lock(mutex_);
  const auto found = taken_.find(key);
  if (found != taken_.end() && --found->second == 0) taken_.erase(found);
}

}  // namespace cloister::api
