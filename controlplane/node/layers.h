// LayerCache: erofs images by digest, downloaded once, verified, and made known to the launcher once in its life.
//
//   <directory>/<sha256>          complete: hashed while it came, synced, renamed
//   <directory>/<sha256>.part     a download under way; begun anew after a restart
//
// Threads: any; a digest that is being fetched or mounted makes others that want it wait.
// Failures: Error{stage "layers", ...}, or the launcher's own. A file that the launcher finds damaged (EBADMSG) is
// deleted.
#pragma once

#include <chrono>
#include <condition_variable>
#include <functional>
#include <map>
#include <mutex>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "controlplane/node/launcher.h"

namespace cloister::node {

using BlobSink = std::function<void(std::string_view)>;
// Calls the sink with all bytes of a blob; throws when they cannot be had.
using FetchBlob = std::function<void(const std::string& digest, const BlobSink& sink)>;

// Writes the blob to `path` by way of "<path>.part"; EBADMSG when the bytes are not `digest`.
[[nodiscard]] Status fetchBlob(const FetchBlob& fetch, const std::string& digest, const std::string& path);

class LayerCache {
 public:
  using Clock = std::chrono::steady_clock;
  static constexpr std::chrono::minutes kKeepUnnamed{10};

  LayerCache(std::string directory, FetchBlob fetch, Launcher& launcher);

  // Each of `digests` is on disk and mounted afterwards.
  [[nodiscard]] Status ensure(const std::vector<std::string>& digests);
  // The launcher began a new life: everything is to be mounted again.
  void forgetMounts();
  // Moves a finished image in.
  [[nodiscard]] Status take(const std::string& file, const std::string& digest);
  // Releases and deletes what has not been in `named` for kKeepUnnamed. Returns what it deleted.
  std::vector<std::string> collect(const std::set<std::string>& named, Clock::time_point now);

  [[nodiscard]] std::string path(const std::string& digest) const { return directory_ + "/" + digest; }

 private:
  [[nodiscard]] Status ensureOne(const std::string& digest);
  [[nodiscard]] Status fetchAndMount(const std::string& digest);

  std::string directory_;
  FetchBlob fetch_;
  Launcher& launcher_;
  std::mutex mutex_;
  std::condition_variable settled_;
  std::set<std::string> busy_;
  std::set<std::string> mounted_;
  std::map<std::string, Clock::time_point> unnamedSince_;
};

}  // namespace cloister::node
