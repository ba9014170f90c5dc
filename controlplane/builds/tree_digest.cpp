#include "controlplane/builds/tree_digest.h"

#include <sodium.h>

namespace cloister::builds {
namespace {

// No text runs into the next one.
std::string framed(std::string_view text) {
  return std::to_string(text.size()) + ":" + std::string(text);
}

}  // namespace

struct TreeDigest::Hash {
  Hash() { crypto_hash_sha256_init(&state); }
  void update(std::string_view bytes) {
    crypto_hash_sha256_update(&state, reinterpret_cast<const unsigned char*>(bytes.data()), bytes.size());
  }
  std::string raw() {
    std::string bytes(crypto_hash_sha256_BYTES, '\0');
    crypto_hash_sha256_final(&state, reinterpret_cast<unsigned char*>(bytes.data()));
    return bytes;
  }
  std::string hex() {
    const std::string bytes = raw();
    std::string text(bytes.size() * 2 + 1, '\0');
    sodium_bin2hex(text.data(), text.size(), reinterpret_cast<const unsigned char*>(bytes.data()), bytes.size());
    text.pop_back();
    return text;
  }
  crypto_hash_sha256_state state{};
};

TreeDigest::TreeDigest() : inOrder_(std::make_unique<Hash>()) {}
TreeDigest::~TreeDigest() = default;

void TreeDigest::begin(const TreeEntry& entry) {
  end();
  open_ = true;
  path_ = entry.path;
  head_ = std::to_string(static_cast<int>(entry.kind)) + " " + std::to_string(entry.mode) + " " + framed(entry.target) +
          " " + std::to_string(entry.size);
  extents_.clear();
  next_ = 0;
  content_ = std::make_unique<Hash>();
}

void TreeDigest::data(std::uint64_t offset, std::string_view bytes) {
  if (bytes.empty()) return;
  if (offset != next_) extents_ += " " + std::to_string(next_) + "-" + std::to_string(offset);
  next_ = offset + bytes.size();
  content_->update(bytes);
}

void TreeDigest::end() {
  if (!open_) return;
  open_ = false;
  Hash path;
  path.update(path_);
  Hash rest;
  rest.update(head_ + " " + std::to_string(next_) + framed(extents_) + content_->raw());
  std::string name = path.raw();
  std::string description = rest.raw();
  inOrder_->update(name + description);
  const auto [found, fresh] = entries_.try_emplace(std::move(name), description);
  // A directory that comes a second time as it was changes nothing.
  if (!fresh && found->second != description) repeated_ = true;
}

std::string TreeDigest::finish() {
  end();
  if (repeated_) return inOrder_->hex();
  Hash sorted;
  for (const auto& [path, description] : entries_) sorted.update(path + description);
  return sorted.hex();
}

}  // namespace cloister::builds
