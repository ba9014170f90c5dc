#include "controlplane/store/store.h"

#include <fcntl.h>
#include <sodium.h>
#include <sqlite3.h>

#include <array>
#include <filesystem>

#include "controlplane/store/migrations.h"
#include "sandbox/base/files.h"
#include "sandbox/base/secret_file.h"

namespace cloister::store {
namespace {

std::string hex(const unsigned char* bytes, std::size_t size) {
  std::string text(size * 2 + 1, '\0');
  sodium_bin2hex(text.data(), text.size(), bytes, size);
  text.pop_back();
  return text;
}

const unsigned char* bytesOf(std::string_view text) {
  return reinterpret_cast<const unsigned char*>(text.data());
}

void initialiseSodium() {
  if (sodium_init() < 0) throw StoreError(SQLITE_ERROR, "libsodium does not start", {});
}

std::string randomKey() {
  std::string key(crypto_secretbox_KEYBYTES, '\0');
  randombytes_buf(key.data(), key.size());
  return key;
}

std::string loadKey(const std::string& path) {
  initialiseSodium();
  if (path.empty()) return randomKey();
  auto key = files::secretFile(path, randomKey());
  if (!key) throw StoreError(key.error().code == EPERM ? SQLITE_PERM : SQLITE_CANTOPEN, key.error().message(), {});
  return *key;
}

// The database holds hashes and sealed secrets, but it is nobody else's business all the same.
const std::string& prepareFile(const std::string& path) {
  if (path == ":memory:") return path;
  const auto directory = std::filesystem::path(path).parent_path().string();
  if (!directory.empty()) {
    if (const auto made = files::makeDirectories(directory, 0750); !made) {
      throw StoreError(SQLITE_CANTOPEN, made.error().message(), {});
    }
  }
  const auto file = files::openAt(AT_FDCWD, path, O_RDWR | O_CREAT, files::Resolve::anywhere, 0640);
  if (!file) throw StoreError(SQLITE_CANTOPEN, file.error().message(), {});
  return path;
}

}  // namespace

model::Micros now() {
  using namespace std::chrono;
  return duration_cast<microseconds>(system_clock::now().time_since_epoch()).count();
}

std::string newId(const char* prefix) {
  initialiseSodium();
  constexpr std::string_view kDigits = "0123456789abcdefghijklmnopqrstuv";  // in the order of their codes
  auto time = static_cast<std::uint64_t>(now());
  std::array<char, 11> digits{};
  for (auto digit = digits.rbegin(); digit != digits.rend(); ++digit, time >>= 5U) *digit = kDigits[time & 31U];
  std::string id = std::string(prefix) + "-" + std::string(digits.data(), digits.size());
  for (int i = 0; i < 8; ++i) id += kDigits[randombytes_uniform(32)];
  return id;
}

std::string sha256(std::string_view bytes) {
  std::array<unsigned char, crypto_hash_sha256_BYTES> hash{};
  crypto_hash_sha256(hash.data(), bytesOf(bytes), bytes.size());
  return hex(hash.data(), hash.size());
}

Store::Store(const Options& options) : database_(prepareFile(options.database)), key_(loadKey(options.keyFile)) {
  auto check = database_.prepare("PRAGMA quick_check(1)");
  if (!check.step() || check.text(0) != "ok") {
    throw StoreError(SQLITE_CORRUPT, options.database + ": " + check.text(0), {});
  }
  check.run();
  migrate(database_);
  // Requests that a former process did not answer may be tried again.
  database_.run("DELETE FROM idempotency_keys WHERE status = 0");
  auto query = database_.prepare("SELECT value FROM counters WHERE name = 'revision'");
  if (!query.step()) throw StoreError(SQLITE_CORRUPT, "the revision counter is missing", {});
  revision_ = query.integer(0);
}

Store::~Store() {
  sodium_memzero(key_.data(), key_.size());
}

Store::Scope::Scope(Store& store) : store_(store), lock_(store.mutex_) {
  if (store_.inScope_) return;
  transaction_.emplace(store_.database_);
  store_.inScope_ = true;
  store_.bumped_ = false;
  before_ = store_.database_.totalChanges();
}

Store::Scope::~Scope() {
  if (!transaction_) return;
  store_.inScope_ = false;
  if (!committed_) store_.bumped_ = false;
}

void Store::Scope::commit() {
  if (!transaction_) return;
  transaction_->commit();
  committed_ = true;
  // A control loop that found nothing to do must not wake itself.
  if (store_.database_.totalChanges() == before_) return;
  const std::lock_guard guard(store_.waitMutex_);
  if (store_.bumped_) store_.revision_ = store_.pendingRevision_;
  store_.bumped_ = false;
  ++store_.changes_;
  store_.waiters_.notify_all();
}

std::int64_t Store::revision() const {
  const std::lock_guard guard(waitMutex_);
  return revision_;
}

std::int64_t Store::bumpRevision() {
  return transact([this] {
    if (bumped_) return pendingRevision_;
    database_.run("UPDATE counters SET value = value + 1 WHERE name = 'revision'");
    auto query = database_.prepare("SELECT value FROM counters WHERE name = 'revision'");
    if (!query.step()) throw StoreError(SQLITE_CORRUPT, "the revision counter is missing", {});
    pendingRevision_ = query.integer(0);
    bumped_ = true;
    return pendingRevision_;
  });
}

std::int64_t Store::waitRevision(std::int64_t after, std::chrono::milliseconds timeout) const {
  std::unique_lock guard(waitMutex_);
  waiters_.wait_for(guard, timeout, [&] { return closing_ || revision_ > after; });
  return revision_;
}

std::uint64_t Store::changes() const {
  const std::lock_guard guard(waitMutex_);
  return changes_;
}

std::uint64_t Store::waitChange(std::uint64_t after, std::chrono::milliseconds timeout) const {
  std::unique_lock guard(waitMutex_);
  waiters_.wait_for(guard, timeout, [&] { return closing_ || changes_ > after; });
  return changes_;
}

void Store::wakeAll() {
  const std::lock_guard guard(waitMutex_);
  closing_ = true;
  waiters_.notify_all();
}

std::string Store::seal(const std::string& plain) const {
  std::string box(crypto_secretbox_NONCEBYTES + crypto_secretbox_MACBYTES + plain.size(), '\0');
  auto* nonce = reinterpret_cast<unsigned char*>(box.data());
  randombytes_buf(nonce, crypto_secretbox_NONCEBYTES);
  crypto_secretbox_easy(nonce + crypto_secretbox_NONCEBYTES, bytesOf(plain), plain.size(), nonce, bytesOf(key_));
  return hex(nonce, box.size());
}

std::string Store::unseal(const std::string& sealed) const {
  std::string box(sealed.size() / 2, '\0');
  std::size_t size = 0;
  auto* bytes = reinterpret_cast<unsigned char*>(box.data());
  constexpr std::size_t kOverhead = crypto_secretbox_NONCEBYTES + crypto_secretbox_MACBYTES;
  if (sodium_hex2bin(bytes, box.size(), sealed.data(), sealed.size(), nullptr, &size, nullptr) != 0 ||
      size < kOverhead) {
    throw StoreError(SQLITE_CORRUPT, "a secret is not what was sealed", {});
  }
  std::string plain(size - kOverhead, '\0');
  if (crypto_secretbox_open_easy(reinterpret_cast<unsigned char*>(plain.data()), bytes + crypto_secretbox_NONCEBYTES,
                                 size - crypto_secretbox_NONCEBYTES, bytes, bytesOf(key_)) != 0) {
    throw StoreError(SQLITE_CORRUPT, "a secret does not open with this key", {});
  }
  return plain;
}

}  // namespace cloister::store
