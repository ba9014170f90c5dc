#include "metering/base/signing.h"

#include <sodium.h>

#include <cerrno>
#include <vector>

#include "metering/base/sha256.h"
#include "sandbox/base/secret_file.h"

namespace cloister::metering {
namespace {

static_assert(crypto_sign_SEEDBYTES == 32 && crypto_sign_PUBLICKEYBYTES == 32 && crypto_sign_SECRETKEYBYTES == 64);

const unsigned char* bytesOf(std::string_view text) {
  return reinterpret_cast<const unsigned char*>(text.data());
}

template <std::size_t N>
bool parse(const std::string& digits, std::array<unsigned char, N>& bytes) {
  std::size_t length = 0;
  // Lower case alone: one text for one value, so that no bit of a signature can be flipped unseen.
  return sodium_hex2bin(bytes.data(), N, digits.data(), digits.size(), nullptr, &length, nullptr) == 0 && length == N &&
         hexadecimal(bytes) == digits;
}

}  // namespace

Result<SigningKey> SigningKey::fromSeed(std::string_view seed) {
  if (sodium_init() < 0) return Error{"signing", "libsodium does not start", "", 0};
  if (seed.size() != crypto_sign_SEEDBYTES) return Error{"signing", "a key has 32 bytes", "", EINVAL};
  SigningKey key;
  crypto_sign_seed_keypair(key.public_.data(), key.secret_.data(), bytesOf(seed));
  return key;
}

Result<SigningKey> SigningKey::open(const std::string& path) {
  if (sodium_init() < 0) return Error{"signing", "libsodium does not start", "", 0};
  std::string fresh(crypto_sign_SEEDBYTES, '\0');
  randombytes_buf(fresh.data(), fresh.size());
  const auto seed = files::secretFile(path, fresh);
  if (!seed) return seed.error();
  return fromSeed(*seed);
}

std::string SigningKey::publicKey() const {
  return hexadecimal(public_);
}

std::string SigningKey::sign(std::string_view message) const {
  std::array<unsigned char, crypto_sign_BYTES> signature{};
  crypto_sign_detached(signature.data(), nullptr, bytesOf(message), message.size(), secret_.data());
  return hexadecimal(signature);
}

bool isSignedBy(const std::string& publicKey, std::string_view message, const std::string& signature) {
  std::array<unsigned char, crypto_sign_PUBLICKEYBYTES> key{};
  std::array<unsigned char, crypto_sign_BYTES> bytes{};
  return sodium_init() >= 0 && parse(publicKey, key) && parse(signature, bytes) &&
         crypto_sign_verify_detached(bytes.data(), bytesOf(message), message.size(), key.data()) == 0;
}

}  // namespace cloister::metering
