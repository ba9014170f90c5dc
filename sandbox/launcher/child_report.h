// What a child says through its ExecReport pipe before it gives up, as an Error.
//
// Threads and failures: a pure function; bytes that are no report are an Error of their own, EPROTO.
#pragma once

#include <string_view>

#include "sandbox/base/result.h"

namespace cloister::launcher {

[[nodiscard]] Error reportedError(std::string_view bytes);

}  // namespace cloister::launcher
