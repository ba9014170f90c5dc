// Files that verbs take, and a price list among them, from TOML or JSON.
//
// Threads: any. Failures: std::runtime_error naming the file, and the line of what is no TOML.
#pragma once

#include <string>

namespace cloister::cli {

[[nodiscard]] std::string contentsOf(const std::string& path);
// As the API takes it.
[[nodiscard]] std::string priceListIn(const std::string& path);

}  // namespace cloister::cli
