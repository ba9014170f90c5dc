#include "api/workers.h"

#include <spdlog/spdlog.h>

#include <algorithm>
#include <system_error>

#include "api/problem.h"

namespace cloister::api {
namespace {

constexpr auto kIdle = std::chrono::seconds(30);
constexpr std::size_t kKept = 4;
constexpr std::size_t kFullParts = 8;

}  // namespace

// What a thread is doing.
struct Workers::Work {
  Workers& workers;
  std::string caller;
  Job job;
  bool lasting = false;
  std::list<Lasting>::iterator entry{};
};

thread_local Workers::Work* Workers::current = nullptr;

bool Workers::offer(const std::string& caller, Job job, std::size_t part) {
  std::unique_lock lock(mutex_);
  if (stopping_) return false;
  auto& entry = callers_[caller];
  // Whoever has none waiting is let in even when all the others together have too many.
  const auto ofPart = entry.parts.find(part);
  const bool full = (ofPart != entry.parts.end() && ofPart->second >= limits_.waitingPerCaller) ||
                    entry.waiting.size() >= kFullParts * limits_.waitingPerCaller ||
                    (waiting_ >= limits_.waiting && !(entry.waiting.empty() && entry.atWork == 0));
  if (full) return false;
  entry.waiting.push_back({std::move(job), part});
  ++entry.parts[part];
  ++waiting_;
  ensureThread();
  offered_.notify_one();
  joinEnded(lock);
  return true;
}

void Workers::ensureThread() {
  if (idle_ >= waiting_ || atWork_ + idle_ >= limits_.atWork) return;
  try {
    const auto self = threads_.emplace(threads_.end());
    ++idle_;
    *self = std::thread([this, self] { run(self); });
  } catch (const std::system_error& error) {
    --idle_;
    threads_.pop_back();
    spdlog::warn("no thread for a request: {}", error.what());
    if (threads_.empty()) throw;
  }
}

Workers::Callers::iterator Workers::next() {
  auto best = callers_.end();
  if (atWork_ >= limits_.atWork) return best;
  const bool reserved = atWork_ >= limits_.atWork - limits_.atWork / 4;
  for (auto entry = callers_.begin(); entry != callers_.end(); ++entry) {
    const auto& caller = entry->second;
    if (caller.waiting.empty() || caller.atWork >= (reserved ? 1 : limits_.atWorkPerCaller)) continue;
    if (best == callers_.end() || caller.atWork < best->second.atWork ||
        (caller.atWork == best->second.atWork && caller.served < best->second.served)) {
      best = entry;
    }
  }
  return best;
}

void Workers::run(std::list<std::thread>::iterator self) {
  std::unique_lock lock(mutex_);
  auto since = std::chrono::steady_clock::now();
  while (true) {
    const auto entry = stopping_ ? callers_.end() : next();
    if (entry == callers_.end()) {
      const bool tooLong = std::chrono::steady_clock::now() - since >= kIdle && idle_ > kKept;
      if (stopping_ || tooLong) break;
      offered_.wait_for(lock, kIdle);
      continue;
    }
    auto& caller = entry->second;
    Work work{*this, entry->first, std::move(caller.waiting.front().job)};
    const auto part = caller.parts.find(caller.waiting.front().part);
    if (--part->second == 0) caller.parts.erase(part);
    caller.waiting.pop_front();
    ++caller.atWork;
    caller.served = ++turn_;
    --waiting_;
    ++atWork_;
    --idle_;
    current = &work;
    lock.unlock();
    work.job.run();
    work.job = {};
    current = nullptr;
    lock.lock();
    finish(work);
    ++idle_;
    since = std::chrono::steady_clock::now();
  }
  --idle_;
  endedThreads_.splice(endedThreads_.end(), threads_, self);
  ended_.notify_all();
}

// One job less of the caller at work: what it has waiting may have its turn now.
void Workers::shorter(const std::string& caller) {
  --atWork_;
  const auto entry = callers_.find(caller);
  if (--entry->second.atWork == 0 && entry->second.waiting.empty()) callers_.erase(entry);
  if (waiting_ > 0) {
    ensureThread();
    offered_.notify_one();
  }
}

void Workers::finish(Work& work) {
  if (!work.lasting) {
    shorter(work.caller);
    return;
  }
  if (work.entry->displaced) --displaced_;
  lasting_.erase(work.entry);
}

void Workers::becomeLong(const std::string& caller) {
  if (current == nullptr || current->lasting) return;
  current->workers.lengthen(*current, caller);
  current->job.lengthened();
}

void Workers::lengthen(Work& work, const std::string& caller) {
  const std::scoped_lock lock(mutex_);
  if (lasting_.size() - displaced_ >= limits_.lasting) displaceFor(caller);
  work.entry = lasting_.insert(lasting_.end(), Lasting{caller, work.job.hangUp, false});
  work.lasting = true;
  shorter(work.caller);
}

void Workers::beforeLeaving() {
  if (current == nullptr || !current->lasting) return;
  const std::scoped_lock lock(current->workers.mutex_);
  current->entry->hangUp = nullptr;
}

void Workers::displaceFor(const std::string& caller) {
  std::map<std::string, std::size_t> has;
  for (const auto& one : lasting_) has[one.caller] += one.displaced || !one.hangUp ? 0U : 1U;
  const auto most = std::max_element(has.begin(), has.end(), [](auto& a, auto& b) { return a.second < b.second; });
  // Those that were told to end and have not yet are threads too.
  if (most->second <= has[caller] + 1 || displaced_ >= limits_.lasting / 4) {
    Problem problem(503, "too_many_streams", "too many streams and uploads are open on this server");
    problem.headers.emplace("Retry-After", "5");
    throw problem;
  }
  const auto oldest = std::find_if(lasting_.begin(), lasting_.end(), [&](const auto& one) {
    return one.caller == most->first && !one.displaced && one.hangUp;
  });
  oldest->displaced = true;
  ++displaced_;
  oldest->hangUp();
}

void Workers::joinEnded(std::unique_lock<std::mutex>& lock) {
  if (endedThreads_.empty()) return;
  std::list<std::thread> ended;
  ended.swap(endedThreads_);
  lock.unlock();
  for (auto& thread : ended) thread.join();
}

void Workers::stop() {
  std::unique_lock lock(mutex_);
  stopping_ = true;
  for (auto& [name, caller] : callers_) {
    waiting_ -= caller.waiting.size();
    caller.waiting.clear();
    caller.parts.clear();
  }
  offered_.notify_all();
  ended_.wait(lock, [this] { return threads_.empty(); });
  joinEnded(lock);
}

Workers::Counts Workers::counts() {
  const std::scoped_lock lock(mutex_);
  return {atWork_, waiting_, lasting_.size()};
}

}  // namespace cloister::api
