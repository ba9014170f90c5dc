// Sha256: the digest of a stream of bytes, as 64 lower-case hexadecimal digits.
//
// Threads: not shared. Failures: std::runtime_error when OpenSSL refuses, which it does only without memory.
#pragma once

#include <memory>
#include <string>
#include <string_view>

struct evp_md_ctx_st;

namespace cloister::node {

class Sha256 {
 public:
  Sha256();
  void update(std::string_view bytes);
  // Ends the stream.
  [[nodiscard]] std::string hex();

 private:
  struct Free {
    void operator()(evp_md_ctx_st* context) const;
  };
  std::unique_ptr<evp_md_ctx_st, Free> context_;
};

// Of a whole file; throws when it cannot be read.
[[nodiscard]] std::string sha256OfFile(const std::string& path);

}  // namespace cloister::node
