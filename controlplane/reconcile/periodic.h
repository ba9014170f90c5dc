// Periodic: a thread that does something at once and then after each pause, until the object goes.
//
// Threads: `body` runs in the object's own; the destructor waits for it. Failures: an exception of `body` is logged
// under `name`, and the next turn comes all the same.
#pragma once

#include <chrono>
#include <condition_variable>
#include <functional>
#include <mutex>
#include <string>
#include <thread>

namespace cloister::reconcile {

class Periodic {
 public:
  Periodic(std::string name, std::chrono::milliseconds pause, std::function<void()> body);
  ~Periodic();
  Periodic(const Periodic&) = delete;
  Periodic& operator=(const Periodic&) = delete;

 private:
  void run();
  std::string name_;
  std::chrono::milliseconds pause_;
  std::function<void()> body_;
  std::mutex mutex_;
  std::condition_variable wake_;
  bool stopping_ = false;
  std::thread thread_;
};

}  // namespace cloister::reconcile
