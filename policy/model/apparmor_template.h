// A compiled AppArmor profile set with a hole for the tenant: parsed once, filled for a tenant by changing a few bytes,
// so that a new tenant costs no run of apparmor_parser.
//
// The parser compiled names that end in "-t99999", a number that no tenant has. It stands in two shapes:
//   - the profiles' own names, as strings;
//   - the peers of signal and ptrace rules, as five states of an automaton, each with the one transition '9'. A state's
//     transitions lie in a shared table at (base + character), so a base that is 9 - d larger makes the same entry
//     answer to the digit d and to no other.
// The blob is little-endian tagged values (u8 tag; name and string: u16 length; blob: u32 length, 0-7 zeros of
// padding), an automaton in it big-endian (apparmor.7, "aadfa": tables of ACCEPT 1, BASE 2, CHECK 3, DEFAULT 4, NEXT
// 8). Threads: immutable after parse(). Failures: Error{stage "apparmor", operation = what is not as expected, "",
// EPROTO}: nothing is patched that was not understood.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "sandbox/base/identity.h"
#include "sandbox/base/result.h"

namespace cloister::policy {

// Digits of a tenant in a profile's name, and what stands there before a tenant does.
inline constexpr std::size_t kTenantDigits = 5;
inline constexpr std::string_view kTenantHole = "99999";
static_assert(kLastTenant < 99'999);
// "-t00042"
[[nodiscard]] std::string tenantSuffix(TenantIndex tenant);

class AppArmorTemplate {
 public:
  // `profiles`: how many names must end in the hole, and each of their rule sets must have it as a peer.
  [[nodiscard]] static Result<AppArmorTemplate> parse(std::string blob, std::size_t profiles);
  // What the kernel loads for `tenant`.
  [[nodiscard]] std::string forTenant(TenantIndex tenant) const;

 private:
  struct Digit {
    std::size_t offset = 0;  // in blob_, of a name's character or a state's base
    std::size_t place = 0;   // 0: most significant
    std::uint32_t base = 0;  // of a state
  };
  explicit AppArmorTemplate(std::string blob) : blob_(std::move(blob)) {}
  [[nodiscard]] Status findNames(std::size_t at, std::size_t size, std::size_t& found);
  [[nodiscard]] Status findPeers(std::size_t at, std::size_t size, std::size_t& found);

  std::string blob_;
  std::vector<Digit> characters_;
  std::vector<Digit> states_;
};

}  // namespace cloister::policy
