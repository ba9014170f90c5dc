#include "metering/base/sha256.h"

#include <openssl/evp.h>

#include <cstdlib>

namespace cloister::metering {

// Fetched once: the lookup by name would cost more than hashing a row.
Sha256::Sha256() : algorithm_(EVP_MD_fetch(nullptr, "SHA256", nullptr)), context_(EVP_MD_CTX_new()) {
  if (algorithm_ == nullptr || context_ == nullptr) std::abort();
}

Sha256::~Sha256() {
  EVP_MD_CTX_free(context_);
  EVP_MD_free(algorithm_);
}

Sha256& Sha256::begin() {
  if (EVP_DigestInit_ex2(context_, algorithm_, nullptr) != 1) std::abort();
  return *this;
}

Sha256& Sha256::add(std::string_view bytes) {
  if (EVP_DigestUpdate(context_, bytes.data(), bytes.size()) != 1) std::abort();
  return *this;
}

Hash Sha256::end() {
  Hash hash{};
  if (EVP_DigestFinal_ex(context_, hash.data(), nullptr) != 1) std::abort();
  return hash;
}

std::string hexadecimal(std::string_view bytes) {
  constexpr std::string_view kDigits = "0123456789abcdef";
  std::string text;
  text.reserve(bytes.size() * 2);
  for (const char c : bytes) {
    const auto byte = static_cast<unsigned char>(c);
    text += kDigits[byte >> 4U];
    text += kDigits[byte & 15U];
  }
  return text;
}

std::string sha256Hex(std::string_view bytes) {
  Sha256 sha;
  return hexadecimal(sha.begin().add(bytes).end());
}

}  // namespace cloister::metering
