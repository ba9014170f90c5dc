// An amount of bytes as the node's messages name limits: "64 MiB".
//
// Threads and failures: a pure function.
#pragma once

#include <cstdint>
#include <string>

namespace cloister::node {

[[nodiscard]] inline std::string mebibytes(std::uint64_t bytes) {
  return std::to_string(bytes >> 20U) + " MiB";
}

}  // namespace cloister::node
