// Sha256: one reusable digest context of libcrypto, for many small messages.
//
// Threads: not shared. Failures: libcrypto fails only without memory or without SHA-256 at all: the process ends.
#pragma once

#include <array>
#include <string>
#include <string_view>

struct evp_md_ctx_st;
struct evp_md_st;

namespace cloister::metering {

class Sha256 {
 public:
  Sha256();
  ~Sha256();
  Sha256(const Sha256&) = delete;
  Sha256& operator=(const Sha256&) = delete;

  Sha256& begin();
  Sha256& add(std::string_view bytes);
  [[nodiscard]] std::array<unsigned char, 32> end();

 private:
  evp_md_st* algorithm_;
  evp_md_ctx_st* context_;
};

// Lower-case digits of any bytes.
[[nodiscard]] std::string hexadecimal(std::string_view bytes);
[[nodiscard]] std::string sha256Hex(std::string_view bytes);

}  // namespace cloister::metering
