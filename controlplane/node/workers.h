// Workers: a few threads that carry out blocking calls (launches, removals, downloads) for the main loop.
//
// Threads: submit() by any. Tasks must not throw; they run in any order. Failures: none.
#pragma once

#include <condition_variable>
#include <deque>
#include <functional>
#include <mutex>
#include <thread>
#include <vector>

namespace cloister::node {

class Workers {
 public:
  explicit Workers(unsigned threads);
  // Waits for the tasks under way; what has not begun is forgotten.
  ~Workers();
  Workers(const Workers&) = delete;
  Workers& operator=(const Workers&) = delete;
  void submit(std::function<void()> task);

 private:
  void run();
  std::mutex mutex_;
  std::condition_variable wake_;
  std::deque<std::function<void()>> tasks_;
  bool stopping_ = false;
  std::vector<std::thread> threads_;
};

}  // namespace cloister::node
