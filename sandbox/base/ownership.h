// Who can change what lies at a path. What root makes or follows below a directory that another user may change leads
// to wherever that user points it, so root asks first.
//
//   if (auto safe = files::rootsAlone("/run/cloister"); !safe) return safe;
//
// Threads: reentrant. Failures: Error{stage "ownership", operation, path, errno}.
#pragma once

#include <string_view>

#include "sandbox/base/result.h"

namespace cloister::files {

// Whether root alone decides what `path`, an absolute directory, is: it and every directory on the way belong to root,
// none is a link, and nobody else can write in one (on the way, a sticky one such as /tmp will do). EPERM names the
// first that differs.
[[nodiscard]] Status rootsAlone(std::string_view path);

}  // namespace cloister::files
