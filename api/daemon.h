// Daemon: cloisterd as an object: store, ledger, control loops and the three listeners, from a Config.
//
// Crash-only: all state is in the store, the ledger and the blobs; stopping is only closing the doors.
// Threads: built and stopped from one; serves on its own. Failures: the constructor throws what does not open or bind.
#pragma once

#include <memory>

#include "api/config.h"

namespace cloister::api {

class Daemon {
 public:
  explicit Daemon(const Config& config);
  ~Daemon();
  Daemon(const Daemon&) = delete;
  Daemon& operator=(const Daemon&) = delete;
  // Ends all waits and streams and takes no more requests.
  void stop();

 private:
  struct Parts;
  std::unique_ptr<Parts> parts_;
};

}  // namespace cloister::api
