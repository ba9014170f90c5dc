// Server-sent events (the WHATWG's text/event-stream) from a stream.
//
// Comments and unknown fields are skipped; an event without data is not given; a last event that no blank line ended
// is dropped, as it may be cut.
// Threads: none shared. Failures: a line above 1 MiB is std::runtime_error.
#pragma once

#include <functional>
#include <iosfwd>

#include "api/cli/http.h"

namespace cloister::cli {

// Until the stream ends (Flow::next) or `handle` stops it (Flow::stop).
[[nodiscard]] Flow readEvents(std::istream& in, const std::function<Flow(const ServerEvent&)>& handle);

}  // namespace cloister::cli
