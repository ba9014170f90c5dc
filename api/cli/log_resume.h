// Following a log over broken connections: where to start again, and which lines have been shown.
//
// Lines of one instance come in its log's order, lines of several nearly but not quite in the order of their times. So
// a new connection starts a little before the newest line, and of each instance what comes up to its last shown line
// is passed over: it was shown, or is older than what the reader asked for.
// Threads: none shared. Failures: none; a node whose clock was set back may have lines shown twice.
#pragma once

#include <Poco/Timestamp.h>

#include <map>
#include <optional>
#include <string>

namespace cloister::cli {

class LogResume {
 public:
  // `from` is what the reader asked for: a time in RFC 3339, before which nothing is shown, or an age, or nothing.
  explicit LogResume(const std::string& from = {});
  // The `since` of the next connection; empty when nothing has been shown.
  [[nodiscard]] std::string since() const;
  void reconnecting();
  // Whether the instance's next line is new. `at` is RFC 3339 with microseconds, as the API writes it.
  [[nodiscard]] bool take(const std::string& instance, const std::string& at);

 private:
  struct Last {
    std::string at;
    int lines = 0;     // shown with this time
    int repeated = 0;  // of them, since the reconnection
    bool behind = false;
  };
  std::optional<Poco::Timestamp> from_;
  std::string newest_;
  std::map<std::string, Last> last_;  // by instance
};

}  // namespace cloister::cli
