// BlobStore: files named by the SHA-256 of their bytes.
//
//   <directory>/
//   ├── <64 hexadecimal digits>     complete, durable, never changed, mode 0640
//   └── .incoming-<chance>          being written; removed when the store is opened
//   <shared>/<64 digits>            where the launcher of this host keeps the images it has, for reading: what is there
//                                   needs no copy here
//
// Threads: any; a Writer belongs to one. Failures: BlobError with the errno; TooLarge behind the limit; DigestMismatch.
#pragma once

#include <cstdint>
#include <functional>
#include <istream>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

#include "sandbox/base/unique_fd.h"

namespace cloister::builds {

class BlobError : public std::runtime_error {
 public:
  BlobError(const std::string& operation, const std::string& path, int code);
  [[nodiscard]] int code() const { return code_; }

 private:
  int code_;
};

// API: 413, code "too_large".
class TooLarge : public std::runtime_error {
 public:
  explicit TooLarge(std::uint64_t limit);
  [[nodiscard]] std::uint64_t limit() const { return limit_; }

 private:
  std::uint64_t limit_;
};

// API: 422, code "digest_mismatch".
class DigestMismatch : public std::runtime_error {
 public:
  DigestMismatch(const std::string& expected, const std::string& actual);
};

struct Blob {
  std::string digest;
  std::uint64_t size = 0;
  // Of one that was just committed: discard() leaves it alone while this lives, until something refers to it.
  std::shared_ptr<const void> held;
};

class BlobStore {
 public:
  // `directory` is made when missing; `shared` may be absent.
  explicit BlobStore(std::string directory, std::string shared = {});
  ~BlobStore();
  BlobStore(const BlobStore&) = delete;
  BlobStore& operator=(const BlobStore&) = delete;

  // A blob being received. Destroyed before commit(): nothing is left.
  class Writer {
   public:
    Writer(const BlobStore& store, std::uint64_t limit);
    ~Writer();
    Writer(const Writer&) = delete;
    Writer& operator=(const Writer&) = delete;
    void append(std::string_view bytes);  // TooLarge
    // fsync, check against `expected` when given, rename, fsync the directory.
    Blob commit(const std::optional<std::string>& expected = {});
    // The temporary file: what was appended so far, for inspection before commit.
    [[nodiscard]] const std::string& path() const { return path_; }

   private:
    struct Hash;
    const BlobStore& store_;
    std::uint64_t limit_;
    std::uint64_t size_ = 0;
    std::string path_;
    UniqueFd fd_;
    std::unique_ptr<Hash> hash_;
  };

  // Reads `in` to its end. `limit` 0: none.
  Blob put(std::istream& in, std::uint64_t limit, const std::optional<std::string>& expected = {});
  [[nodiscard]] bool has(const std::string& digest) const;
  [[nodiscard]] bool isShared(const std::string& digest) const;  // the launcher has it
  [[nodiscard]] std::optional<std::uint64_t> size(const std::string& digest) const;
  // Path of a blob that is there (for sendfile, an ifstream, inspectArchive); BlobError ENOENT otherwise, EINVAL for
  // what is no digest.
  [[nodiscard]] std::string path(const std::string& digest) const;
  [[nodiscard]] UniqueFd open(const std::string& digest) const;
  void remove(const std::string& digest);  // our own copy; absent is fine
  // Removes our own copies of what is in `shared`, but not of `keep`; how many.
  std::size_t removeShared(const std::vector<std::string>& keep);
  // Removes a blob unless somebody holds it or `inUse` says that something refers to it. True: it is gone.
  bool discard(const std::string& digest, const std::function<bool()>& inUse);
  [[nodiscard]] std::vector<Blob> list() const;  // our own
  // Removes what is not in `keep` and came longer than `seconds` ago (what came lately may not be referenced yet); how
  // many.
  std::size_t removeUnused(const std::vector<std::string>& keep, std::int64_t seconds);

 private:
  struct Holds {
    std::mutex mutex;
    std::map<std::string, std::size_t> count;  // by digest
  };
  // Where it is; empty: nowhere.
  [[nodiscard]] std::string find(const std::string& digest) const;
  std::string directory_;
  std::string shared_;
  std::shared_ptr<Holds> holds_ = std::make_shared<Holds>();
};

}  // namespace cloister::builds
