#include "controlplane/node/layers.h"

#include <Poco/Exception.h>
#include <fcntl.h>
#include <spdlog/spdlog.h>

#include <cerrno>
#include <filesystem>

#include "controlplane/node/exception_text.h"
#include "controlplane/node/sha256.h"
#include "sandbox/base/files.h"
#include "sandbox/base/streams.h"

namespace cloister::node {
namespace {

namespace fs = std::filesystem;

Error layerError(std::string operation, std::string path, int code) {
  return {"layers", std::move(operation), std::move(path), code};
}

Status moveInto(const std::string& from, const std::string& to) {
  std::error_code code;
  fs::rename(from, to, code);
  if (code) return layerError("rename", to, code.value());
  auto directory = files::openDirectory(fs::path(to).parent_path().string());
  if (!directory) return directory.error();
  return streams::sync(directory->get());
}

}  // namespace

Status fetchBlob(const FetchBlob& fetch, const std::string& digest, const std::string& path) {
  const std::string part = path + ".part";
  auto file = streams::createFile(part, 0600);
  if (!file) return file.error();
  Sha256 hash;
  Status written;
  try {
    fetch(digest, [&](std::string_view bytes) {
      hash.update(bytes);
      if (written) written = files::writeAll(file->get(), bytes);
    });
  } catch (const std::exception& error) {
    return layerError(std::string("download: ") + textOf(error), digest, EIO);
  }
  if (!written) return written;
  if (hash.hex() != digest) {
    std::error_code code;
    fs::remove(part, code);
    return layerError("download: the bytes have another digest", digest, EBADMSG);
  }
  if (auto done = streams::sync(file->get()); !done) return done;
  return moveInto(part, path);
}

LayerCache::LayerCache(std::string directory, std::string store, FetchBlob fetch, Launcher& launcher)
    : directory_(std::move(directory)), store_(std::move(store)), fetch_(std::move(fetch)), launcher_(launcher) {}

Status LayerCache::ensure(const std::vector<std::string>& digests) {
  for (const auto& digest : digests) {
    if (!validDigest(digest)) return layerError("no digest", digest, EINVAL);
    if (auto done = ensureOne(digest, ""); !done) return done;
  }
  return {};
}

Status LayerCache::ensureOne(const std::string& digest, const std::string& file) {
  std::unique_lock lock(mutex_);
  settled_.wait(lock, [&] { return !busy_.contains(digest); });
  unnamedSince_.erase(digest);
  if (mounted_.contains(digest)) return {};
  busy_.insert(digest);
  lock.unlock();
  Status done = file.empty() ? fetchAndMount(digest) : hand(digest, file);
  lock.lock();
  busy_.erase(digest);
  if (done) mounted_.insert(digest);
  settled_.notify_all();
  return done;
}

Status LayerCache::fetchAndMount(const std::string& digest) {
  const std::string file = directory_ + "/" + digest;
  std::error_code code;
  if (!fs::exists(file, code)) {
    auto there = launcher_.mountLayer(digest, -1);
    if (there || there.error().code != ENOENT) return there;
    if (auto done = fetchBlob(fetch_, digest, file); !done) return done;
  }
  auto done = hand(digest, file);
  if (done || done.error().code == EBADMSG) fs::remove(file, code);
  return done;
}

Status LayerCache::hand(const std::string& digest, const std::string& file) {
  auto fd = files::openAt(AT_FDCWD, file, O_RDONLY | O_NOFOLLOW);
  if (!fd) return fd.error();
  return launcher_.mountLayer(digest, fd->get());
}

void LayerCache::forgetMounts() {
  const std::lock_guard lock(mutex_);
  mounted_.clear();
}

Status LayerCache::take(const std::string& file, const std::string& digest) {
  if (auto done = ensureOne(digest, file); !done) return done;
  std::error_code code;
  fs::remove(file, code);
  return {};
}

void LayerCache::pin(const std::string& digest) {
  const std::lock_guard lock(mutex_);
  pinned_.insert(digest);
}

void LayerCache::unpin(const std::string& digest) {
  const std::lock_guard lock(mutex_);
  if (const auto found = pinned_.find(digest); found != pinned_.end()) pinned_.erase(found);
}

std::set<std::string> LayerCache::onDisk() const {
  std::set<std::string> digests;
  for (const auto& directory : {directory_, store_}) {
    std::error_code code;
    for (const auto& entry : fs::directory_iterator(directory, code)) {
      if (const auto name = entry.path().filename().string(); validDigest(name)) digests.insert(name);
    }
  }
  return digests;
}

std::vector<std::string> LayerCache::collect(const std::set<std::string>& named, Clock::time_point now) {
  std::vector<std::string> deleted;
  for (const auto& digest : onDisk()) {
    std::unique_lock lock(mutex_);
    if (named.contains(digest) || busy_.contains(digest) || pinned_.contains(digest)) {
      unnamedSince_.erase(digest);
      continue;
    }
    const auto since = unnamedSince_.try_emplace(digest, now).first->second;
    if (now - since < kKeepUnnamed) continue;
    busy_.insert(digest);
    lock.unlock();
    const auto released = launcher_.releaseLayer(digest);
    const bool gone = released.ok() || released.error().code == ENOENT;
    std::error_code code;
    if (gone) fs::remove(directory_ + "/" + digest, code);
    lock.lock();
    busy_.erase(digest);
    if (gone) {
      mounted_.erase(digest);
      unnamedSince_.erase(digest);
      deleted.push_back(digest);
    } else {
      spdlog::warn("layer {} not released: {}", digest, released.error().message());
    }
    settled_.notify_all();
  }
  return deleted;
}

}  // namespace cloister::node
