// Workers: threads that answer requests, shared out so that no caller takes them all.
//
//   workers.offer("tn-1", {answer, hangUp, sendAtOnce});  // false: this caller has enough waiting
//   workers.offer("source 192.0.2.1", job, hash);         // a caller that may be several has a bound for each part
//   Workers::becomeLong("tn-1");                          // inside a job that is going to wait for something
//
// Short jobs compute and read the store; there are few threads for them. Of those that wait, the caller with the fewest
// at work comes first, then the one that was served longest ago; the last quarter of the threads is for callers that
// have none at work. A job that is going to wait (a stream, an upload, a long poll) says so: it keeps its thread, and
// another one takes its place among the short. When there are too many long jobs, a caller with fewer of them displaces
// the oldest of the caller with most.
//
// Threads: any. Failures: becomeLong() throws Problem 429 or 503; a thread that cannot be started is done without while
// there is another.
#pragma once

#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <deque>
#include <functional>
#include <list>
#include <map>
#include <mutex>
#include <string>
#include <thread>

namespace cloister::api {

struct WorkerLimits {
  std::size_t atWork = 64;  // short jobs
  std::size_t atWorkPerCaller = 8;
  std::size_t waiting = 2048;
  std::size_t waitingPerCaller = 64;  // of one part; eight times that in all
  std::size_t lasting = 448;          // long jobs
};

class Workers {
 public:
  struct Job {
    std::function<void()> run;         // throws nothing
    std::function<void()> hangUp;      // makes a long job end soon
    std::function<void()> lengthened;  // in the job's thread, when it has become long
  };
  explicit Workers(WorkerLimits limits) : limits_(limits) {}
  ~Workers() { stop(); }
  Workers(const Workers&) = delete;
  Workers& operator=(const Workers&) = delete;

  [[nodiscard]] bool offer(const std::string& caller, Job job, std::size_t part = 0);
  // The calling thread's job is long from here on. Nothing outside of a job, and the second time.
  static void becomeLong(const std::string& caller);
  // The calling thread's job is about to give away what hangUp() would end.
  static void beforeLeaving();
  // Waiting jobs are dropped, those at work waited for.
  void stop();

  struct Counts {
    std::size_t atWork = 0;
    std::size_t waiting = 0;
    std::size_t lasting = 0;
  };
  [[nodiscard]] Counts counts();

 private:
  struct Waiting {
    Job job;
    std::size_t part;
  };
  struct Caller {
    std::deque<Waiting> waiting;
    std::map<std::size_t, std::size_t> parts;  // how many of `waiting`
    std::size_t atWork = 0;
    std::uint64_t served = 0;
  };
  struct Lasting {
    std::string caller;
    std::function<void()> hangUp;
    bool displaced = false;
  };
  struct Work;
  static thread_local Work* current;

  using Callers = std::map<std::string, Caller>;
  [[nodiscard]] Callers::iterator next();
  void lengthen(Work& work, const std::string& caller);
  void displaceFor(const std::string& caller);
  void ensureThread();
  void run(std::list<std::thread>::iterator self);
  void finish(Work& work);
  void shorter(const std::string& caller);
  void joinEnded(std::unique_lock<std::mutex>& lock);

  WorkerLimits limits_;
  std::mutex mutex_;
  std::condition_variable offered_;
  std::condition_variable ended_;
  Callers callers_;
  std::list<Lasting> lasting_;
  std::size_t displaced_ = 0;
  std::size_t atWork_ = 0;
  std::size_t waiting_ = 0;
  std::size_t idle_ = 0;
  std::uint64_t turn_ = 0;
  bool stopping_ = false;
  std::list<std::thread> threads_;
  std::list<std::thread> endedThreads_;
};

}  // namespace cloister::api
