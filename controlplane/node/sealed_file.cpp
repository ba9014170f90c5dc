#include "controlplane/node/sealed_file.h"

#include <sodium.h>

#include <cerrno>

#include "sandbox/base/files.h"
#include "sandbox/base/secret_file.h"

namespace cloister::node {
namespace {

constexpr std::string_view kMark = "cloister sealed 1\n";
constexpr std::size_t kOverhead = kMark.size() + crypto_secretbox_NONCEBYTES + crypto_secretbox_MACBYTES;

unsigned char* bytesOf(std::string& text) {
  return static_cast<unsigned char*>(static_cast<void*>(text.data()));
}

const unsigned char* bytesOf(std::string_view text) {
  return static_cast<const unsigned char*>(static_cast<const void*>(text.data()));
}

Result<std::string> keyOf(const std::string& path) {
  if (sodium_init() < 0) return Error{"sealed file", "sodium_init", path, ENOSYS};
  std::string fresh(crypto_secretbox_KEYBYTES, '\0');
  randombytes_buf(fresh.data(), fresh.size());
  return files::secretFile(path, fresh);
}

}  // namespace

Status writeSealed(const std::string& path, const std::string& text, const std::string& keyFile) {
  const auto key = keyOf(keyFile);
  if (!key) return key.error();
  std::string nonce(crypto_secretbox_NONCEBYTES, '\0');
  randombytes_buf(nonce.data(), nonce.size());
  std::string box(text.size() + crypto_secretbox_MACBYTES, '\0');
  crypto_secretbox_easy(bytesOf(box), bytesOf(std::string_view(text)), text.size(), bytesOf(nonce),
                        bytesOf(std::string_view(*key)));
  return files::replace(path, std::string(kMark) + nonce + box, 0600);
}

Result<std::string> readSealed(const std::string& path, std::size_t most, const std::string& keyFile) {
  auto file = files::read(path, most + kOverhead);
  if (!file || file->starts_with('{')) return file;
  const std::string_view all(*file);
  if (!all.starts_with(kMark) || all.size() < kOverhead) return Error{"sealed file", "read", path, EBADMSG};
  const auto key = keyOf(keyFile);
  if (!key) return key.error();
  const auto nonce = all.substr(kMark.size(), crypto_secretbox_NONCEBYTES);
  const auto box = all.substr(kMark.size() + nonce.size());
  std::string text(box.size() - crypto_secretbox_MACBYTES, '\0');
  if (crypto_secretbox_open_easy(bytesOf(text), bytesOf(box), box.size(), bytesOf(nonce),
                                 bytesOf(std::string_view(*key))) != 0) {
    return Error{"sealed file", "open", path, EBADMSG};
  }
  return text;
}

}  // namespace cloister::node
