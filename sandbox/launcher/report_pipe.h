// Pipes between the launcher and its children, and the one over which a child says why it never became the app: see
// sandbox/base/exec_report.h.
//
// Threads: reentrant. Failures: readReport() returns what the child reported, or why nothing can be read.
#pragma once

#include "sandbox/base/result.h"
#include "sandbox/base/unique_fd.h"

namespace cloister::launcher {

struct Pipe {
  UniqueFd read;
  UniqueFd write;
};
[[nodiscard]] Result<Pipe> makePipe();

void sendReport(int pipe, const Error& error);
// Good at end-of-file: the app's execve succeeded.
[[nodiscard]] Status readReport(int pipe);

}  // namespace cloister::launcher
