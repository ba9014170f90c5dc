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

std::array<unsigned char, 32> Sha256::end() {
  std::array<unsigned char, 32> hash{};
  if (EVP_DigestFinal_ex(context_, hash.data(), nullptr) != 1) std::abort();
  return hash;
}

}  // namespace cloister::metering
