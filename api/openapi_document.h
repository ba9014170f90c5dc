// The text of api/openapi.yaml, built into the binary. The file keeps to JSON, which is YAML too, and is served as it
// is.
//
// Threads and failures: none.
#pragma once

#include <string_view>

namespace cloister::api {

[[nodiscard]] std::string_view openapiDocument();

}  // namespace cloister::api
