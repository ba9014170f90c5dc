// WorkSource: keeps asking the server what this node should do, and remembers the last certified answer on disk.
//
// Threads: start() begins one thread, which calls `arrived` with each new work; cached() belongs to the caller, before.
// Failures: a server that is away is asked again after 0.5, 1, 2 ... 15 s; what does not decode is logged and not
// taken.
#pragma once

#include <atomic>
#include <condition_variable>
#include <functional>
#include <mutex>
#include <optional>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include "controlplane/model/node_protocol.h"
#include "controlplane/node/server.h"

namespace cloister::node {

// What may be done on the word of a work: only a certified one that came from the server itself stops or removes
// anything.
enum class Authority { startOnly, full };
[[nodiscard]] Authority authorityOf(const model::NodeWork& work);

// Which of the instances `known` here are to be stopped on the word of `work`: those that it wants stopped, and those
// that it does not name at all; none without full authority.
[[nodiscard]] std::vector<std::string> stopsOf(const std::set<std::string>& known, const model::NodeWork& work);

// The last certified work of a file; none when there is none or it does not decode. Its `certified` is cleared: it was
// whole once, and the server may have changed its mind since.
[[nodiscard]] std::optional<model::NodeWork> loadWork(const std::string& path);
// Keeps it, if it is certified. Sessions are left out: they are of the moment.
void storeWork(const std::string& path, const model::NodeWork& work);

class WorkSource {
 public:
  using Arrived = std::function<void(model::NodeWork)>;
  WorkSource(const Server& server, std::string path);
  ~WorkSource();
  WorkSource(const WorkSource&) = delete;
  WorkSource& operator=(const WorkSource&) = delete;

  [[nodiscard]] std::optional<model::NodeWork> cached() const { return loadWork(path_); }
  void start(Arrived arrived);
  // True while the last call succeeded.
  [[nodiscard]] bool connected() const { return connected_; }

 private:
  void run(const Arrived& arrived);
  [[nodiscard]] bool pause(int milliseconds);

  const Server& server_;
  std::string path_;
  std::atomic<bool> connected_{false};
  std::mutex mutex_;
  std::condition_variable wake_;
  bool stopping_ = false;
  std::thread thread_;
};

}  // namespace cloister::node
