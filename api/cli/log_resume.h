// Following a log over broken connections: where to start again, and which lines have been shown.
//
// Lines of several instances come nearly but not quite in the order of their times, so a new connection starts a little
// before the newest line and what was already shown is counted out.
// Threads: none shared. Failures: none.
#pragma once

#include <deque>
#include <map>
#include <string>

namespace cloister::cli {

class LogResume {
 public:
  // The `since` of the next connection; empty when nothing has been shown.
  [[nodiscard]] std::string since() const;
  void reconnecting() { pending_ = shown_; }
  // Whether the line is new. `at` is RFC 3339 with microseconds, as the API writes it.
  [[nodiscard]] bool take(const std::string& at, const std::string& line);

 private:
  std::string newest_;
  std::map<std::string, int> shown_;    // "at line" -> times, of the latest lines
  std::deque<std::string> order_;       // their order of arrival
  std::map<std::string, int> pending_;  // still to be counted out after a reconnection
};

}  // namespace cloister::cli
