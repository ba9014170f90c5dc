// Builds: runs the node's DesiredBuilds, at most kAtOnce at a time, and keeps their results until the server dropped
// them.
//
// A build: files fetched -> build container runs the script -> freeze container makes its upper an erofs image -> the
// image gets its digest for a name, goes to the launcher and to the server -> both containers are removed. That happens
// once for each of its steps, each on the layers of those before, and then for the rest, whose image is the slug. A
// build that was interrupted begins again; one that ended has left result.json and is only reported.
// Threads: apply(), reports() by the main loop; one thread a build. `changed` is called from those threads. Failures:
// each becomes the build's own failure code: build_failed, build_timeout, build_out_of_memory, build_disk_full,
// build_pids_limit, build_source_missing, build_too_large, build_internal.
#pragma once

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include "controlplane/model/node_protocol.h"
#include "controlplane/node/build_script.h"
#include "controlplane/node/runtime.h"
#include "controlplane/node/server.h"
#include "controlplane/node/work_source.h"
#include "sandbox/base/utf8.h"

namespace cloister::node {

// Output of one build on its way to the server: in order, in chunks of whole letters, held back while the server is
// away. What is no UTF-8 in it becomes U+FFFD.
class BuildLog {
 public:
  BuildLog(const Server& server, std::string build);
  void add(std::string_view text);
  // Sends what is due: a full chunk, or what has waited for a moment.
  void pump();
  // Sends all; gives up after ten seconds.
  void finish();

 private:
  [[nodiscard]] bool send();
  const Server& server_;
  std::string build_;
  utf8::Mender mender_;
  std::string buffer_;
  std::uint64_t lost_ = 0;
  std::chrono::steady_clock::time_point due_;
};

struct BuildTask {
  model::DesiredBuild build;
  model::DesiredTenant tenant;
};

// One build from start to end, on the calling thread.
class BuildJob {
 public:
  BuildJob(BuildTask task, std::string directory, Runtime& runtime, const Server& server,
           const std::atomic<bool>& cancelled);
  ~BuildJob();
  BuildJob(const BuildJob&) = delete;
  BuildJob& operator=(const BuildJob&) = delete;
  [[nodiscard]] model::BuildReport run();

 private:
  [[nodiscard]] model::Failure runAll(model::BuildReport& report);
  // One part of it from its files to its image; `image` names that.
  [[nodiscard]] model::Failure make(const BuildPart& part, const std::string& container, const std::string& source,
                                    model::BuiltLayer& image);
  [[nodiscard]] model::Failure runScript(const BuildPart& part, const std::string& container);
  // `leaveOut`: an option of mkfs.erofs that names what does not go into the image.
  [[nodiscard]] model::Failure freeze(const std::string& container, const std::string& leaveOut);
  [[nodiscard]] model::Failure publish(model::BuiltLayer& image);
  [[nodiscard]] model::Failure classify(const Ending& ending, const sandbox::Container& container,
                                        const StepFilter& filter);
  [[nodiscard]] launcher::LaunchRequest request(const std::string& container, launcher::Confinement confinement) const;
  [[nodiscard]] Metered metered() const;
  [[nodiscard]] std::string stepId(std::uint32_t step) const { return task_.build.id + "-s" + std::to_string(step); }
  void pin(const std::string& digest);
  [[nodiscard]] std::string slug() const { return directory_ + "/slug"; }
  void removeContainers(const std::string& container);

  BuildTask task_;
  std::string directory_;
  Runtime& runtime_;
  const Server& server_;
  const std::atomic<bool>& cancelled_;
  std::vector<std::string> layers_;  // that the next part stands on, topmost first
  std::vector<std::string> pinned_;
  std::chrono::milliseconds left_{};  // of the build's time
  CallSet calls_;                     // that the build's list lacked
  BuildLog log_;
};

class Builds {
 public:
  static constexpr unsigned kAtOnce = 2;
  Builds(std::string directory, Runtime& runtime, const Server& server, std::function<void()> changed);
  ~Builds();
  Builds(const Builds&) = delete;
  Builds& operator=(const Builds&) = delete;

  // Begins what is new. With full authority, what is no longer named is cancelled and forgotten.
  void apply(const model::NodeWork& work, Authority authority);
  [[nodiscard]] std::vector<model::BuildReport> reports();
  // Builds under way or waiting: their containers and layers are in use.
  [[nodiscard]] bool uses(const std::string& tenantId);

 private:
  struct Entry {
    BuildTask task;
    model::BuildReport report;
    std::atomic<bool> cancelled{false};
    bool ended = false;
  };
  void work();
  void finish(const std::shared_ptr<Entry>& entry, model::BuildReport report);
  [[nodiscard]] std::string directoryOf(const std::string& id) const { return directory_ + "/" + id; }

  std::string directory_;
  Runtime& runtime_;
  const Server& server_;
  std::function<void()> changed_;
  std::mutex mutex_;
  std::condition_variable wake_;
  std::map<std::string, std::shared_ptr<Entry>> entries_;
  std::deque<std::shared_ptr<Entry>> queue_;
  bool stopping_ = false;
  std::vector<std::thread> threads_;
};

}  // namespace cloister::node
