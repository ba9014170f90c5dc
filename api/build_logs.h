// BuildLogs: the output of builds, appended as nodes send it.
//
//   <directory>/<build id>.log    at most `limit` bytes and a line that says so; removed 30 days after its last byte
//
// Threads: any. Failures: std::runtime_error with operation, path and errno.
#pragma once

#include <cstdint>
#include <mutex>
#include <string>
#include <string_view>

namespace cloister::api {

class BuildLogs {
 public:
  BuildLogs(std::string directory, std::uint64_t limit);
  void append(const std::string& build, std::string_view chunk);
  // At most `most` bytes from `offset` on; empty at the end, or when there is no log yet.
  [[nodiscard]] std::string read(const std::string& build, std::uint64_t offset, std::size_t most = 65'536) const;
  void dropOlderThan(std::int64_t seconds);

 private:
  [[nodiscard]] std::string path(const std::string& build) const { return directory_ + "/" + build + ".log"; }
  std::string directory_;
  std::uint64_t limit_;
  std::mutex mutex_;
};

}  // namespace cloister::api
