// Checks that a text is one JSON value (RFC 8259, UTF-8) before any parser builds something from it.
//
// Stricter than the parser behind it: no trailing text, no doubled member names, bounded depth, and an error has a
// place. Threads: pure. Failures: the returned fault; never throws for any input.
#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>

namespace cloister::api {

struct SyntaxFault {
  std::size_t line = 1;
  std::size_t column = 1;  // in bytes
  std::string reason;
};

inline constexpr std::size_t kMaxJsonDepth = 32;

[[nodiscard]] std::optional<SyntaxFault> checkJsonSyntax(std::string_view text);

}  // namespace cloister::api
