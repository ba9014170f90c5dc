// The steps of the schema, as the SQL of each. One that was released never changes; a new one goes to the end.
//
// Threads and failures: values.
#pragma once

#include <span>
#include <string_view>

namespace cloister::store {

[[nodiscard]] std::span<const std::string_view> schemaSteps();

}  // namespace cloister::store
