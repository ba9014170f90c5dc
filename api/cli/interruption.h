// Interruption: runs a function when somebody presses Ctrl-C or the process is asked to end, instead of ending it.
//
//   const Interruption interruption([&] { ask(); });   // until it goes out of scope
//
// The function runs on a thread of its own, one call at a time, while the caller waits for the server. Signals that
// come after the last Interruption have no effect: what is left is a line to print. Threads: made and destroyed by one.
// Failures: std::runtime_error when signals cannot be watched.
#pragma once

#include <functional>
#include <thread>

#include "sandbox/base/streams.h"
#include "sandbox/base/unique_fd.h"

namespace cloister::cli {

class Interruption {
 public:
  explicit Interruption(std::function<void()> came);
  ~Interruption();
  Interruption(const Interruption&) = delete;
  Interruption& operator=(const Interruption&) = delete;

 private:
  void run();
  std::function<void()> came_;
  UniqueFd signals_;
  streams::Wakeup over_;
  std::thread thread_;
};

}  // namespace cloister::cli
