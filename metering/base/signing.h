// SigningKey: the Ed25519 key with which a provider signs what it shows its tenants (RFC 8032, by libsodium).
//
// Threads: const members from any. Failures: Error{stage "signing", operation, path, errno}; a key file that others can
// read is refused.
#pragma once

#include <array>
#include <string>
#include <string_view>

#include "sandbox/base/result.h"

namespace cloister::metering {

class SigningKey {
 public:
  // A file of 32 random bytes, mode 0600, made when it is not there.
  [[nodiscard]] static Result<SigningKey> open(const std::string& path);
  // Of these 32 bytes.
  [[nodiscard]] static Result<SigningKey> fromSeed(std::string_view seed);

  [[nodiscard]] std::string publicKey() const;             // 64 hexadecimal digits
  [[nodiscard]] std::string sign(std::string_view) const;  // 128 hexadecimal digits

 private:
  SigningKey() = default;
  std::array<unsigned char, 32> public_{};
  std::array<unsigned char, 64> secret_{};
};

// Both as hexadecimal digits. False too for what are no such digits.
[[nodiscard]] bool isSignedBy(const std::string& publicKey, std::string_view message, const std::string& signature);

}  // namespace cloister::metering
