// A plan's limits as people read and type them; the model, the database and the API each have names of their own.
//
//   limitAmount("memoryBytes", 512 << 20)   "512 MiB"
//   limitTyped("memoryBytes")               "memory": [limits] memory in cloister.toml, --memory of `plan create`
//
// Threads: pure functions. Failures: none; a name that is no limit's stands for itself.
#pragma once

#include <cstdint>
#include <string>

namespace cloister::model {

[[nodiscard]] std::string limitAmount(const std::string& limit, std::uint64_t amount);
[[nodiscard]] std::string limitTyped(const std::string& limit);

}  // namespace cloister::model
