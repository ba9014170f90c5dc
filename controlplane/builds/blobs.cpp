#include "controlplane/builds/blobs.h"

#include <fcntl.h>
#include <sodium.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <chrono>
#include <cstring>
#include <filesystem>
#include <set>
#include <system_error>

#include "sandbox/base/files.h"
#include "sandbox/base/identity.h"

namespace cloister::builds {
namespace {

namespace fs = std::filesystem;
constexpr std::string_view kIncoming = ".incoming-";

std::string hex(const unsigned char* bytes, std::size_t size) {
  std::string text(size * 2 + 1, '\0');
  sodium_bin2hex(text.data(), text.size(), bytes, size);
  text.pop_back();
  return text;
}

std::string errnoText(int code) {
  return std::error_code(code, std::system_category()).message();
}

}  // namespace

BlobError::BlobError(const std::string& operation, const std::string& path, int code)
    : std::runtime_error("blobs: " + operation + " " + path + ": " + errnoText(code)), code_(code) {}

TooLarge::TooLarge(std::uint64_t limit)
    : std::runtime_error("larger than the " + std::to_string(limit) + " bytes allowed"), limit_(limit) {}

DigestMismatch::DigestMismatch(const std::string& expected, const std::string& actual)
    : std::runtime_error("the bytes have digest " + actual + ", not " + expected) {}

BlobStore::BlobStore(std::string directory, std::string shared)
    : directory_(std::move(directory)), shared_(std::move(shared)) {
  if (sodium_init() < 0) throw BlobError("sodium_init", "", ENOSYS);
  if (const auto made = files::makeDirectories(directory_, 0750); !made) {
    throw BlobError("mkdir", directory_, made.error().code);
  }
  for (const auto& entry : fs::directory_iterator(directory_)) {
    if (entry.path().filename().string().starts_with(kIncoming)) fs::remove(entry.path());
  }
}

BlobStore::~BlobStore() = default;

struct BlobStore::Writer::Hash {
  crypto_hash_sha256_state state{};
};

BlobStore::Writer::Writer(const BlobStore& store, std::uint64_t limit)
    : store_(store), limit_(limit), hash_(std::make_unique<Hash>()) {
  std::array<unsigned char, 12> chance{};
  randombytes_buf(chance.data(), chance.size());
  path_ = store_.directory_ + "/" + std::string(kIncoming) + hex(chance.data(), chance.size());
  auto file = files::openAt(AT_FDCWD, path_, O_WRONLY | O_CREAT | O_EXCL, files::Resolve::anywhere, 0640);
  if (!file) throw BlobError("open", path_, file.error().code);
  fd_ = std::move(*file);
  crypto_hash_sha256_init(&hash_->state);
}

BlobStore::Writer::~Writer() {
  if (path_.empty()) return;
  std::error_code ignored;  // the next start removes what is left
  fs::remove(path_, ignored);
}

void BlobStore::Writer::append(std::string_view bytes) {
  if (limit_ != 0 && bytes.size() > limit_ - size_) throw TooLarge(limit_);
  if (const auto written = files::writeAll(fd_.get(), bytes); !written) {
    throw BlobError("write", path_, written.error().code);
  }
  size_ += bytes.size();
  crypto_hash_sha256_update(&hash_->state, reinterpret_cast<const unsigned char*>(bytes.data()), bytes.size());
}

Blob BlobStore::Writer::commit(const std::optional<std::string>& expected) {
  std::array<unsigned char, crypto_hash_sha256_BYTES> bytes{};
  crypto_hash_sha256_final(&hash_->state, bytes.data());
  Blob blob{hex(bytes.data(), bytes.size()), size_, nullptr};
  if (expected && *expected != blob.digest) throw DigestMismatch(*expected, blob.digest);
  if (::fsync(fd_.get()) != 0) throw BlobError("fsync", path_, errno);
  fd_.reset();
  {
    const std::scoped_lock lock(store_.holds_->mutex);
    ++store_.holds_->count[blob.digest];
  }
  blob.held = std::shared_ptr<const void>(nullptr, [holds = store_.holds_, digest = blob.digest](const void*) {
    const std::scoped_lock lock(holds->mutex);
    if (--holds->count[digest] == 0) holds->count.erase(digest);
  });
  const auto target = store_.directory_ + "/" + blob.digest;
  std::error_code error;
  fs::rename(path_, target, error);
  if (error) throw BlobError("rename", target, error.value());
  path_.clear();
  const auto directory = files::openDirectory(store_.directory_);
  if (!directory) throw BlobError("open", store_.directory_, directory.error().code);
  if (::fsync(directory->get()) != 0) throw BlobError("fsync", store_.directory_, errno);
  return blob;
}

Blob BlobStore::put(std::istream& in, std::uint64_t limit, const std::optional<std::string>& expected) {
  Writer writer(*this, limit);
  std::vector<char> buffer(128UL * 1024);
  while (in) {
    in.read(buffer.data(), static_cast<std::streamsize>(buffer.size()));
    writer.append({buffer.data(), static_cast<std::size_t>(in.gcount())});
  }
  if (in.bad()) throw BlobError("read", "upload", EIO);
  return writer.commit(expected);
}

bool BlobStore::has(const std::string& digest) const {
  return size(digest).has_value();
}

bool BlobStore::isShared(const std::string& digest) const {
  std::error_code error;
  return validDigest(digest) && !shared_.empty() && fs::is_regular_file(shared_ + "/" + digest, error);
}

std::string BlobStore::find(const std::string& digest) const {
  if (!validDigest(digest)) return {};
  for (const auto& directory : {directory_, shared_}) {
    std::error_code error;
    if (!directory.empty() && fs::is_regular_file(directory + "/" + digest, error)) return directory + "/" + digest;
  }
  return {};
}

std::optional<std::uint64_t> BlobStore::size(const std::string& digest) const {
  const auto file = find(digest);
  std::error_code error;
  const auto bytes = file.empty() ? 0 : fs::file_size(file, error);
  if (file.empty() || error) return std::nullopt;
  return bytes;
}

std::string BlobStore::path(const std::string& digest) const {
  if (!validDigest(digest)) throw BlobError("open", digest, EINVAL);
  auto file = find(digest);
  if (file.empty()) throw BlobError("open", digest, ENOENT);
  return file;
}

UniqueFd BlobStore::open(const std::string& digest) const {
  auto file = files::openAt(AT_FDCWD, path(digest), O_RDONLY);
  if (!file) throw BlobError("open", digest, file.error().code);
  return std::move(*file);
}

void BlobStore::remove(const std::string& digest) {
  if (!validDigest(digest)) throw BlobError("remove", digest, EINVAL);
  std::error_code error;
  fs::remove(directory_ + "/" + digest, error);
  if (error) throw BlobError("remove", digest, error.value());
}

bool BlobStore::discard(const std::string& digest, const std::function<bool()>& inUse) {
  const std::scoped_lock lock(holds_->mutex);
  if (holds_->count.contains(digest) || !has(digest) || inUse()) return false;
  remove(digest);
  return true;
}

std::vector<Blob> BlobStore::list() const {
  std::vector<Blob> blobs;
  for (const auto& entry : fs::directory_iterator(directory_)) {
    const auto name = entry.path().filename().string();
    if (validDigest(name)) blobs.push_back({name, entry.file_size(), nullptr});
  }
  return blobs;
}

std::size_t BlobStore::removeShared(const std::vector<std::string>& keep) {
  const std::set<std::string> kept(keep.begin(), keep.end());
  std::size_t removed = 0;
  for (const auto& blob : list()) {
    if (kept.contains(blob.digest) || !isShared(blob.digest)) continue;
    remove(blob.digest);
    ++removed;
  }
  return removed;
}

std::size_t BlobStore::removeUnused(const std::vector<std::string>& keep, std::int64_t seconds) {
  const std::set<std::string> kept(keep.begin(), keep.end());
  std::size_t removed = 0;
  const auto limit = std::chrono::system_clock::now() - std::chrono::seconds(seconds);
  for (const auto& blob : list()) {
    if (kept.contains(blob.digest)) continue;
    // The rename into place changes it, also when the bytes had come long before.
    struct stat status {};
    if (::stat((directory_ + "/" + blob.digest).c_str(), &status) != 0) continue;
    if (std::chrono::system_clock::from_time_t(status.st_ctime) > limit) continue;
    remove(blob.digest);
    ++removed;
  }
  return removed;
}

}  // namespace cloister::builds
