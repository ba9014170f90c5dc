// A published head: the end of a tenant's chain at one moment, signed by the provider. Who keeps one can prove later
// that rows up to it were changed: the statement of its month no longer passes through it (verify.h).
//
// Signed is, with tabs between the fields and each escaped as in a statement:
//   cloister-head  1  TENANT-ID  ROWS  HASH  RECORDED-AT
// Threads: pure functions. Failures: Error{stage "head", reason, field}.
#pragma once

#include <cstdint>
#include <string>

#include "metering/base/signing.h"
#include "sandbox/base/result.h"

namespace cloister::metering {

struct PublishedHead {
  std::string tenantId;
  std::uint64_t rows = 0;  // number of the last one; 0: the chain is empty
  std::string hash;        // hexadecimal digits
  std::string recordedAt;  // RFC 3339, as it was shown; empty without rows
  std::string signature;
};

void sign(PublishedHead& head, const SigningKey& key);
[[nodiscard]] bool isSignedBy(const std::string& publicKey, const PublishedHead& head);
// From the object that the API answers; members besides those above are left alone.
[[nodiscard]] Result<PublishedHead> headFromJson(const std::string& json);

}  // namespace cloister::metering
