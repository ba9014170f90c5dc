// LayerCache: erofs images by digest, downloaded once, verified, handed to the launcher, and mounted once in its life.
// The launcher's copy, which only root can change, is the host's only one.
//
//   <directory>/<sha256>          on its way to the launcher: hashed while it came, synced, renamed
//   <directory>/<sha256>.part     a download under way; begun anew after a restart
//   <store>/<sha256>              the launcher's copies, for reading (sandbox/rootfs/layers.h)
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
  static constexpr std::chrono::minutes kKeepUnnamed{2};

  LayerCache(std::string directory, std::string store, FetchBlob fetch, Launcher& launcher);

  // The launcher has each of `digests`, mounted, afterwards.
  [[nodiscard]] Status ensure(const std::vector<std::string>& digests);
  // The launcher began a new life: everything is to be mounted again.
  void forgetMounts();
  // Gives a finished image to the launcher; `file` is gone afterwards.
  [[nodiscard]] Status take(const std::string& file, const std::string& digest);
  // A build's layers, which no work names before it has been told of them, stay until they are unpinned as often.
  void pin(const std::string& digest);
  void unpin(const std::string& digest);
  // Releases and deletes what has not been in `named` for kKeepUnnamed. Returns what it deleted.
  std::vector<std::string> collect(const std::set<std::string>& named, Clock::time_point now);

  // The launcher's copy.
  [[nodiscard]] std::string path(const std::string& digest) const { return store_ + "/" + digest; }

 private:
  // `file` empty: from the server, unless it is here.
  [[nodiscard]] Status ensureOne(const std::string& digest, const std::string& file);
  [[nodiscard]] Status fetchAndMount(const std::string& digest);
  [[nodiscard]] Status hand(const std::string& digest, const std::string& file);
  [[nodiscard]] std::set<std::string> onDisk() const;

  std::string directory_;
  std::string store_;
  FetchBlob fetch_;
  Launcher& launcher_;
  std::mutex mutex_;
  std::condition_variable settled_;
  std::set<std::string> busy_;
  std::set<std::string> mounted_;
  std::multiset<std::string> pinned_;
  std::map<std::string, Clock::time_point> unnamedSince_;
};

}  // namespace cloister::node
