// BuildLogs: the output of builds, appended as nodes send it.
//
//   <directory>/<build id>.log    at most `limit` bytes and a line that says so; removed with its build, or 30 days
//   after its last byte
//
// Threads: any. Failures: std::runtime_error with operation, path and errno.
#pragma once

#include <cstdint>
#include <functional>
#include <mutex>
#include <string>
#include <string_view>
#include <vector>

namespace cloister::api {

class BuildLogs {
 public:
  BuildLogs(std::string directory, std::uint64_t limit);
  void append(const std::string& build, std::string_view chunk);
  // At most `most` bytes from `offset` on; empty at the end, or when there is no log yet.
  [[nodiscard]] std::string read(const std::string& build, std::uint64_t offset, std::size_t most = 65'536) const;
  [[nodiscard]] std::uint64_t bytesOf(const std::vector<std::string>& builds) const;
  // Keeps `most` bytes of the logs of these builds, which are named newest first; a log goes whole.
  void keep(const std::vector<std::string>& builds, std::uint64_t most);
  void dropOlderThan(std::int64_t seconds);
  // Drops the logs of builds that `known` does not know.
  void dropUnless(const std::function<bool(const std::string& build)>& known);

 private:
  [[nodiscard]] std::string path(const std::string& build) const { return directory_ + "/" + build + ".log"; }
  std::string directory_;
  std::uint64_t limit_;
  std::mutex mutex_;
};

}  // namespace cloister::api
