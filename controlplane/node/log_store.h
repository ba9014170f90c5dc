// LogStore: the kept output of one instance, as JSON lines (model::LogLine) in files that rotate by size.
//
//   <directory>/current   appended to; at kFileBytes it becomes 1, 1 becomes 2, ... and what was 3 is gone
//
// Threads: any; a mutex keeps lines whole and in order. Readers need no lock: a file only grows and is then renamed.
// Failures: Error of the file operation; what could not be written is lost, and the next append tries anew.
#pragma once

#include <cstdint>
#include <mutex>
#include <string>
#include <string_view>
#include <vector>

#include "controlplane/model/node_protocol.h"
#include "sandbox/base/result.h"
#include "sandbox/base/unique_fd.h"

namespace cloister::node {

inline constexpr std::uint64_t kLogFileBytes = 8UL << 20U;
inline constexpr int kLogFiles = 4;

// Text with everything that is no UTF-8, and control characters but tab and escape, replaced by U+FFFD.
[[nodiscard]] std::string printable(std::string_view bytes);

class LogStore {
 public:
  struct Origin {
    std::string app;
    std::string process;
    std::string instance;
  };
  LogStore(std::string directory, Origin origin, std::uint64_t fileBytes = kLogFileBytes);

  [[nodiscard]] Status append(const std::string& stream, const std::vector<std::string>& lines);
  // A line of Cloister's own ("started"); a failure is only logged.
  void system(const std::string& line);
  [[nodiscard]] const std::string& directory() const { return directory_; }

 private:
  [[nodiscard]] Status openCurrent();
  void rotate();

  std::string directory_;
  Origin origin_;
  std::uint64_t fileBytes_;
  std::mutex mutex_;
  UniqueFd file_;
  std::uint64_t size_ = 0;
};

// Goes through a store's files, oldest first, and on along `current` as it grows and rotates.
class LogReader {
 public:
  explicit LogReader(std::string directory);
  // The next whole lines (JSON, without newline), at most about `limit` bytes; empty when there is nothing new.
  [[nodiscard]] std::vector<std::string> next(std::size_t limit = 256UL * 1024);

 private:
  [[nodiscard]] int age() const;
  [[nodiscard]] bool open(int age);
  [[nodiscard]] bool onward();

  std::string directory_;
  UniqueFd file_;
  std::uint64_t inode_ = 0;
  std::uint64_t device_ = 0;
  bool whole_ = false;  // nobody writes to our file any more
  std::string rest_;
};

// All kept lines from `since` on (0: all), only the last `lines` (-1: all).
[[nodiscard]] std::vector<std::string> recentLines(LogReader& reader, model::Micros since, std::int64_t lines);

}  // namespace cloister::node
