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

using Hash = std::array<unsigned char, 32>;

class Sha256 {
 public:
  Sha256();
  ~Sha256();
  Sha256(const Sha256&) = delete;
  Sha256& operator=(const Sha256&) = delete;

  Sha256& begin();
  Sha256& add(std::string_view bytes);
  [[nodiscard]] Hash end();

 private:
  evp_md_st* algorithm_;
  evp_md_ctx_st* context_;
};

template <std::size_t N>
[[nodiscard]] std::string_view view(const std::array<unsigned char, N>& bytes) {
  return {reinterpret_cast<const char*>(bytes.data()), N};
}

// Lower-case digits of any bytes.
[[nodiscard]] std::string hexadecimal(std::string_view bytes);
template <std::size_t N>
[[nodiscard]] std::string hexadecimal(const std::array<unsigned char, N>& bytes) {
  return hexadecimal(view(bytes));
}
[[nodiscard]] std::string sha256Hex(std::string_view bytes);

}  // namespace cloister::metering
