// What containers have spent by an account that is not the meter's: the rusage of each container's first process and of
// all that it reaped, as wait4(2) gave it to the parent (metering_witness.c in the launcher; this process itself for
// those whose launcher was killed). Each of these parents gives the ended the time to leave (metering_reap.h).
//
// It counts processes, from their fork to their last switch, to two microseconds; groups have no part in it. What it
// cannot see are processes that were killed together with their container, and those of a launch that was cut short
// before the look found them: such a container is marked, and may have spent more. The kernel tells of each group that
// is made (inotify), so that none is overlooked, however short its life.
// Threads: one of its own, which looks every two milliseconds for new groups and for ended processes; the rest is for
// the caller's. Failures: a container whose process the look missed keeps the pid -1; events that the kernel dropped
// end the program.
#pragma once

#include <sys/types.h>

#include <atomic>
#include <cstdint>
#include <fstream>
#include <map>
#include <mutex>
#include <string>
#include <thread>

#include "sandbox/base/unique_fd.h"

namespace cloister::bench {

struct Spent {
  pid_t pid = -1;  // none was found in its group
  std::uint64_t micros = 0;
  bool ended = false;
  bool killed = false;  // with SIGKILL
};

class Truth {
 public:
  // `groups`: our root in the unified hierarchy. `lines`: what the witness writes, there from now on.
  Truth(std::string groups, const std::string& lines);
  ~Truth();
  Truth(const Truth&) = delete;
  Truth& operator=(const Truth&) = delete;

  // By container.
  [[nodiscard]] std::map<std::string, Spent> containers();

 private:
  void run();
  void watch(const std::string& directory);
  void hearOfNew();
  void findNew();
  void readLines();
  void reapOrphans();
  void end(pid_t pid, std::uint64_t micros, int status);

  std::string groups_;
  UniqueFd events_;                     // of inotify
  std::map<int, std::string> watched_;  // directories, by their watch
  std::ifstream lines_;
  std::string rest_;  // of a line that is not whole yet
  std::mutex mutex_;
  std::map<std::string, Spent> containers_;
  std::atomic<bool> stopping_{false};
  std::thread thread_;
};

// The root's directory in the unified hierarchy.
[[nodiscard]] std::string unifiedGroup(const std::string& root);
// usage_usec of a unified group.
[[nodiscard]] std::uint64_t groupMicros(const std::string& directory);

}  // namespace cloister::bench
